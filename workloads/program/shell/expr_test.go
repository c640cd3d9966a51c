package shell_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExpr(t *testing.T) {
	for _, tc := range []struct {
		args, want string
		code       int
	}{
		{args: "1 + 2 * 3", want: "7"},
		{args: "( 1 + 2 ) * 3", want: "9"},
		{args: "7 - 2 - 1", want: "4"},
		{args: "-7 / 2", want: "-3"},
		{args: "-7 % 2", want: "-1"},
		{args: "4 % 2", want: "0", code: 1},
		{args: "9223372036854775807 + 1", want: "9223372036854775808"},
		{args: "10 > 9", want: "1"},
		{args: "a10 > a9", want: "0", code: 1},
		{args: "abc = abc", want: "1"},
		{args: "0 | x", want: "x"},
		{args: "a & 0", want: "0", code: 1},
		{args: "a & b", want: "a"},
		{args: "hello : h.*l", want: "4"},
		{args: `v1.35.4 : v\([0-9]*\)`, want: "1"},
		{args: "hello : x", want: "0", code: 1},
		{args: `hello : \(x\)`, want: "", code: 1},
		{args: "length größe", want: "5"},
		{args: "index hello ol", want: "3"},
		{args: "substr hello 2 3", want: "ell"},
		{args: "substr hello 9 3", want: "", code: 1},
		{args: "length", want: "length"},
	} {
		b := newBox(t)
		require.Equal(t, tc.code, b.run(t, append([]string{"expr"}, strings.Fields(tc.args)...)...), tc.args)
		require.Equal(t, tc.want+"\n", b.out.String(), tc.args)
	}
	for _, args := range []string{"", "1 +", "( 1", "1 2", "a + 1", "1 / 0"} {
		b := newBox(t)
		require.Equal(t, 2, b.run(t, append([]string{"expr"}, strings.Fields(args)...)...), args)
		require.Empty(t, b.out.String(), args)
	}
}

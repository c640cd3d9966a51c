package yamlx_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/yamlx"
)

func TestProblemIsAtTheField(t *testing.T) {
	t.Parallel()
	doc, err := yamlx.Parse("f.yaml", []byte("id: x\nports:\n  - name: http\n    number: 80\nlabels:\n  a.b: c\n"))
	require.NoError(t, err)
	var out struct {
		ID     string            `yaml:"id"`
		Ports  []port            `yaml:"ports"`
		Labels map[string]string `yaml:"labels"`
	}
	require.NoError(t, doc.Decode(&out))
	for path, want := range map[string]string{
		"ports[0].name":  "f.yaml:3:11: ports[0].name: is odd",
		"ports[0].extra": "f.yaml:3:5: ports[0].extra: is odd",
		"ports[7]":       "f.yaml:3:3: ports[7]: is odd",
		`labels["a.b"]`:  `f.yaml:6:8: labels["a.b"]: is odd`,
		"missing":        "f.yaml:1:1: missing: is odd",
		"":               "f.yaml:1:1: is odd",
	} {
		require.Equal(t, want, doc.Problem(path, "is %s", "odd").String())
	}
}

func TestBombsEnd(t *testing.T) {
	t.Parallel()
	var laughs strings.Builder
	laughs.WriteString("free:\n  a0: &a0 [1, 1]\n")
	for i := range 60 {
		fmt.Fprintf(&laughs, "  a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	for name, tc := range map[string]struct{ in, want string }{
		"deep":   {"free: " + strings.Repeat("[", 150) + strings.Repeat("]", 150), "nested deeper than 100 levels"},
		"laughs": {laughs.String(), "more than 100000 values, aliases counted"},
		"itself": {"free: &a [*a, *a]", "f.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out sample
			require.ErrorContains(t, yamlx.Decode("f.yaml", []byte(tc.in), &out), tc.want)
		})
	}
}

func TestErrorListCollects(t *testing.T) {
	t.Parallel()
	var list yamlx.ErrorList
	require.NoError(t, list.Err())
	list.Add("b.yaml", errors.New("cannot be read"))
	list.Add("x", yamlx.ErrorList{{File: "a.yaml", Line: 2, Message: "two"}, {File: "a.yaml", Line: 1, Message: "one"}, {File: "a.yaml", Line: 1, Message: "one"}})
	list.Add("c.yaml", yamlx.Problem{File: "c.yaml", Line: 3, Column: 4, Path: "p", Message: "three"})
	list.Add("x", nil)
	require.EqualError(t, list.Err(), "a.yaml:1: one\na.yaml:2: two\nb.yaml: cannot be read\nc.yaml:3:4: p: three")
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"kind: easy", "a: &a [*a]", "ports: [{name: x}]", "free: {a: {b: c}}", "---\n...\n", "\t"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		var out sample
		_ = yamlx.Decode("f.yaml", data, &out)
	})
}

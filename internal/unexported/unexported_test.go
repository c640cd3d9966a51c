package unexported_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/unexported"
)

type inner struct{ n int }

type outer struct {
	inner  *inner
	writer io.Writer
	any    any
}

func TestFieldsAreReachedThroughPointersAndInterfaces(t *testing.T) {
	t.Parallel()
	o := &outer{inner: &inner{1}, any: &inner{2}}
	require.NoError(t, unexported.Set(o, 5, "inner", "n"))
	require.NoError(t, unexported.Set(o, 6, "any", "n"))
	require.Equal(t, 5, o.inner.n)
	n, err := unexported.Get[int](o, "any", "n")
	require.NoError(t, err)
	require.Equal(t, 6, n)
}

func TestAnInterfaceTakesAnImplementation(t *testing.T) {
	t.Parallel()
	o, b := &outer{}, &bytes.Buffer{}
	require.NoError(t, unexported.Set[io.Writer](o, b, "writer"))
	fmt.Fprint(o.writer, "x")
	require.Equal(t, "x", b.String())
	require.NoError(t, unexported.Set[io.Writer](o, nil, "writer"))
	require.Nil(t, o.writer)
}

func TestWhatDoesNotFitIsAnError(t *testing.T) {
	t.Parallel()
	o := &outer{inner: &inner{}}
	require.ErrorContains(t, unexported.Set(o, 1, "nosuch"), `unexported_test.outer has no field "nosuch"`)
	require.ErrorContains(t, unexported.Set(o, "1", "inner", "n"), "field [inner n] is a int, not a string")
	require.ErrorContains(t, unexported.Set(o, 1, "any", "n"), `no structure holds field "n"`)
	require.ErrorContains(t, unexported.Set(*o, &inner{}, "inner"), "no structure holds", "a copy cannot be changed")
	_, err := unexported.Get[string](o, "inner", "n")
	require.ErrorContains(t, err, "not a string")
}

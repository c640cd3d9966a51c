package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/faults"
	_ "github.com/gameday-bench/gameday/faults/types"
)

func TestCatalogueIsRight(t *testing.T) {
	t.Parallel()
	c, err := faults.LoadCatalog(faults.Embedded())
	require.NoError(t, err)
	require.NotEmpty(t, c.IDs())
}

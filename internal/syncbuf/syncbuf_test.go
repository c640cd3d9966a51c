package syncbuf_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/syncbuf"
)

func TestWritersDoNotMix(t *testing.T) {
	t.Parallel()
	var b syncbuf.Buffer
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				fmt.Fprintf(&b, "line of %d\n", i)
				_ = b.String()
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		require.Equal(t, 100, strings.Count(b.String(), fmt.Sprintf("line of %d\n", i)))
	}
}

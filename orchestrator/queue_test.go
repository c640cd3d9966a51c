package orchestrator_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// Time is synthetic: every start takes a second in which all others that may start have started.
func TestNoMoreSystemsComeUpAtATimeThanMay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ starts, concurrency, most int }{
		"one by one":                     {starts: 1, concurrency: 4, most: 1},
		"two at a time":                  {starts: 2, concurrency: 4, most: 2},
		"no more than there are trials":  {starts: 8, concurrency: 3, most: 3},
		"a turn is free after a failure": {starts: 1, concurrency: 1, most: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var now, most, all atomic.Int32
			r := runner(t, func(context.Context) (cluster.Cluster, error) {
				all.Add(1)
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				time.Sleep(time.Second)
				now.Add(-1)
				return nil, errs.Newf(errs.Infra, "no more ports")
			})
			c := config(t)
			c.Attempts, c.InfraRetries, c.Concurrency, c.Starts = 6, 1, test.concurrency, test.starts
			synctest.Test(t, func(t *testing.T) {
				_, err := r.Run(t.Context(), c)
				require.NoError(t, err)
			})
			require.EqualValues(t, test.most, most.Load())
			require.EqualValues(t, 12, all.Load(), "every trial had its turn, and so had every further try")
		})
	}
}

package orchestrator

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"
)

// TestGateTellsWhatKeptItMostOften: the last look alone may mislead.
func TestGateTellsWhatKeptItMostOften(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		found []string
		want  string
	}{
		{"one kind, with other figures", []string{"p95 is 0.3", "p95 is 3e-05", "p95 is 0.21"}, "time is up: p95 is 0.21"},
		{"one kind, with other durations", []string{"pod web: for 59s", "pod web: for 1m5s", "pod web: for 1.5ms"}, "time is up: pod web: for 1.5ms"},
		{
			"several", []string{"pods start", "alert A is firing: dial 10.0.0.1:80", "alert A is firing: dial 10.0.0.2:80", "p95 is 0.21"},
			"time is up: p95 is 0.21 (of 4 looks: 2 × alert A is firing: dial 10.0.0.2:80; 1 × pods start; 1 × p95 is 0.21)",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				e := &environment{clock: clock.RealClock{}}
				began := time.Now()
				looks := 0
				err := e.gate(ctx, func(context.Context) (string, error) {
					if looks == len(tc.found) {
						cancel(errors.New("time is up"))
						return "cut short", nil
					}
					looks++
					return tc.found[looks-1], nil
				})
				require.EqualError(t, err, tc.want)
				require.Equal(t, time.Duration(len(tc.found))*pollInterval, time.Since(began))
			})
		})
	}
}

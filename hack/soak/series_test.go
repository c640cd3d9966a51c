package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGrowthIsFound(t *testing.T) {
	t.Parallel()
	slope := func(from, step float64, n int) []float64 {
		var out []float64
		for i := range n {
			out = append(out, from+step*float64(i))
		}
		return out
	}
	warm := append(slope(0, 50, 25), slope(1250, 0, 75)...)
	for _, tc := range []struct {
		name   string
		values []float64
		grows  bool
	}{
		{"flat", slope(1000, 0, 100), false},
		{"falls", slope(1000, -5, 100), false},
		{"a warm-up is no growth", warm, false},
		{"within the margin", slope(1000, 1, 100), false},
		{"a slow leak", slope(1000, 3, 100), true},
		{"one spike is no growth", append(slope(1000, 0, 99), 1e6), false},
		{"too short to say", slope(1000, 0, 7), true},
		{"nothing counted", nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := judge(series{quantity{name: tc.name, share: 0.1, least: 10}, tc.values})
			require.Equal(t, tc.grows, v.grows(), "%+v", v)
		})
	}
}

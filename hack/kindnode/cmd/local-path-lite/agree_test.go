package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestBoundAtOnce: exactly one node makes the volume of a claim that no pod uses yet, and claims are spread.
func TestBoundAtOnce(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c"}
	made := map[string]int{}
	for i := range 60 {
		c := claim("", corev1.ReadWriteOnce)
		c.UID = types.UID(fmt.Sprintf("uid-%d", i))
		takers := 0
		for _, name := range names {
			d := &disk{node: name, open: func(context.Context) ([]string, error) { return names, nil }}
			if d.ShouldProvision(t.Context(), c) {
				takers++
				made[name]++
			}
		}
		require.Equal(t, 1, takers)
	}
	require.Len(t, made, len(names), "%v", made)
	require.Equal(t, agreed("x", []string{"a", "b"}), agreed("x", []string{"b", "a"}))
}

func TestNoNodeTakesPods(t *testing.T) {
	t.Parallel()
	none := &disk{node: "a", open: func(context.Context) ([]string, error) { return nil, nil }}
	require.False(t, none.ShouldProvision(t.Context(), claim("")))
	broken := &disk{node: "a", open: func(context.Context) ([]string, error) { return []string{"a"}, errors.New("no answer") }}
	require.False(t, broken.ShouldProvision(t.Context(), claim("")))
}

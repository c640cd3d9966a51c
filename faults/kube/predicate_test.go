package kube

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPredicate(t *testing.T) {
	t.Parallel()
	object := map[string]any{
		"spec": map[string]any{
			"replicas": int64(0), "ratio": 0.5, "empty": "",
			"ports": []any{map[string]any{"targetPort": int64(8099)}, map[string]any{"name": "b", "targetPort": "grpc"}},
		},
		"data": map[string]any{"geo.yaml": "x: 1"},
	}
	tests := []struct {
		p    Predicate
		want bool
		seen string
	}{
		{Predicate{Path: "spec.replicas", Equals: 0}, true, "0"},
		{Predicate{Path: "spec.replicas", Equals: "0"}, true, "0"},
		{Predicate{Path: "spec.replicas", Equals: 1}, false, "0"},
		{Predicate{Path: "spec.ratio", Equals: 0.5}, true, "0.5"},
		{Predicate{Path: "spec.ports[0].targetPort", Equals: 8099}, true, "8099"},
		{Predicate{Path: "spec.ports[name=b].targetPort", OneOf: []any{"x", "grpc"}}, true, "grpc"},
		{Predicate{Path: "spec.ports[2].targetPort", Equals: 8099}, false, "not set"},
		{Predicate{Path: "spec.ports[name=c].targetPort", Absent: true}, true, "not set"},
		{Predicate{Path: `data["geo.yaml"]`, Equals: "x: 1"}, true, "x: 1"},
		{Predicate{Path: "spec.empty", Absent: true}, true, "not set"},
		{Predicate{Path: "spec.replicas", Absent: true}, false, "0"},
		{Predicate{Path: "spec.ports[1]", Equals: map[string]any{"name": "b", "targetPort": "grpc"}}, true, `{"name":"b","targetPort":"grpc"}`},
	}
	for _, tc := range tests {
		got, seen, err := tc.p.holds(object)
		require.NoError(t, err, tc.p.Path)
		require.Equal(t, tc.want, got, tc.p.Path)
		require.Equal(t, tc.seen, seen, tc.p.Path)
	}
	for _, path := range []string{"spec..x", "spec.ports[0", ".x"} {
		_, _, err := Predicate{Path: path, Absent: true}.holds(object)
		require.Error(t, err, path)
	}
}

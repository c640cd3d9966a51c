package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/kubernetes/test/utils/image"

	"github.com/gameday-bench/gameday/workloads/program"
)

// TestImagesAreThoseOfTheTest compares the references with those that the test of the release in go.mod asks for.
func TestImagesAreThoseOfTheTest(t *testing.T) {
	t.Parallel()
	var registry program.Registry
	registry.Register(images()...)
	var refs []string
	for _, listing := range registry.Listings() {
		require.NotEmpty(t, listing.Entrypoint, listing.Repository)
		for _, tag := range listing.Tags {
			refs = append(refs, listing.Repository+":"+tag)
		}
	}
	require.ElementsMatch(t, []string{image.GetE2EImage(image.Etcd), image.GetE2EImage(image.APIServer)}, refs)
}

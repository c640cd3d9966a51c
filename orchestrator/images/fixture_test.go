package images_test

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/images"
	"github.com/gameday-bench/gameday/workloads/program"
)

const (
	geo2    = "registry.local/hotel/geo:2.3.2"
	geo1    = "registry.local/hotel/geo:2.3.1"
	mysql   = "registry.local/library/mysql:8.4.3"
	busybox = "registry.local/library/busybox:1.36"
	coredns = "registry.local/coredns/coredns:v1.12.4"
)

// listings are what the executables of the fixture offer, by their names.
func listings() map[string][]program.Listing {
	return map[string][]program.Listing{
		"gameday-pod": {
			{
				Repository: "registry.local/hotel/geo", Tags: []string{"2.3.1", "2.3.2"}, Program: "hotel/geo", Entrypoint: []string{"/geo"},
				User: program.NonRoot, Ports: []string{"8083/tcp", "9464/tcp"}, Commands: []string{"[", "ls", "sh"},
			},
			{
				Repository: "registry.local/library/mysql", Tags: []string{"8.4.3"}, Program: "library/mysql", Entrypoint: []string{"mysqld"},
				Binary: "gameday-mysql", Commands: []string{"ls", "mysql", "sh", "/opt/mysql-2"},
			},
			{Repository: "registry.local/library/busybox", Tags: []string{"1.36"}, Program: "library/busybox", Cmd: []string{"sh"}, Commands: []string{"ls", "sh"}},
			{Repository: "registry.k8s.io/pause", Tags: []string{"3.10.1"}, Program: "upstream/pause", Entrypoint: []string{"/pause"}},
		},
		"gameday-mysql": {},
		"gameday-dns": {
			{Repository: "registry.local/coredns/coredns", Tags: []string{"v1.12.4"}, Program: "coredns/coredns", Entrypoint: []string{"/coredns"}},
		},
	}
}

// executables makes files in the place of executables; only their content counts. The seed makes it.
func executables(t *testing.T, seed uint64) []images.Binary {
	t.Helper()
	dir := t.TempDir()
	var out []images.Binary
	for i, name := range []string{"gameday-pod", "gameday-mysql", "gameday-dns"} {
		content := make([]byte, 100_000)
		for at, random := 0, rand.New(rand.NewPCG(seed, uint64(i))); at < len(content); at++ {
			content[at] = byte(random.Uint32())
		}
		copy(content[5000:], "github.com/gameday-bench/gameday/workloads/apps/hotel/geo.Nearby")
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o755))
		out = append(out, images.Binary{Path: path, Architecture: "amd64", Listings: listings()[name]})
	}
	return out
}

func newSet(t *testing.T) *images.Set {
	t.Helper()
	s, err := images.New(executables(t, 1)...)
	require.NoError(t, err)
	return s
}

// find returns one of the images.
func find(t *testing.T, s *images.Set, ref string) images.Image {
	t.Helper()
	for _, im := range s.List() {
		if im.Ref == ref {
			return im
		}
	}
	require.Fail(t, "no image "+ref)
	return images.Image{}
}

// node is something in a container's root file system.
type node struct {
	*tar.Header
	content string
}

// unpack returns the root file system of an image by paths.
func unpack(t *testing.T, im v1.Image) map[string]node {
	t.Helper()
	stream := mutate.Extract(im)
	defer stream.Close()
	out := map[string]node{}
	for archive := tar.NewReader(stream); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		content, err := io.ReadAll(archive)
		require.NoError(t, err)
		out[header.Name] = node{header, string(content)}
	}
}

// TestMain makes the test binary an executable with programs when the variable asks for it.
func TestMain(m *testing.M) {
	if os.Getenv("IMAGES_TEST_MAIN") == "" {
		os.Exit(m.Run())
	}
	all := listings()[filepath.Base(os.Args[0])]
	if all == nil {
		all = []program.Listing{}
	}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		os.Exit(1)
	}
}

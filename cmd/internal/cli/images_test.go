package cli_test

import (
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/images"
	"github.com/gameday-bench/gameday/workloads/program"
)

// imageSet makes the images of one executable, of which only the content counts.
func imageSet(t *testing.T) func(string) (*images.Set, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gameday-pod")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("code", 1<<10)), 0o755))
	return func(string) (*images.Set, error) {
		return images.New(images.Binary{Path: path, Architecture: "amd64", Listings: []program.Listing{
			{Repository: "registry.local/hotel/geo", Tags: []string{"2.3.1", "2.3.2"}, Program: "hotel/geo", Entrypoint: []string{"/geo"}},
			{Repository: "registry.local/library/busybox", Tags: []string{"1.36"}, Program: "library/busybox", Cmd: []string{"sh"}},
		}})
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	dir, find := t.TempDir(), imageSet(t)
	play := func(want int, args ...string) *process {
		p := newProcess(t, append([]string{"images"}, args...)...)
		p.Cwd, p.Backend.Images = dir, find
		require.Equal(t, want, p.main(), p.err.String())
		return p
	}
	p := play(0, "list")
	require.Regexp(t, `^IMAGE\tPROGRAM\tVARIANT\tSIZE\nregistry.local/hotel/geo:2.3.1\thotel/geo\t2.3.1\t0\.\d MiB\n`, p.out.String())
	require.Regexp(t, `^3 images, 0\.\d MiB in all \(0\.\d MiB on a node\): what they share counts once\n$`, p.err.String())
	require.Contains(t, play(0, "list", "-o", "wide", "--no-headers").out.String(), "\tsha256:")
	require.Equal(t, "registry.local/hotel/geo:2.3.2\n", play(0, "list", "-l", "program=hotel/*", "-l", "variant=*.2", "-o", "name").out.String())
	p = play(0, "list", "-l", "program=nothing")
	require.Empty(t, p.out.String())
	require.Equal(t, "no images match\n", p.err.String())
	var list struct {
		SchemaVersion int
		Items         []images.Image
		Total         images.Total
		File          string
	}
	require.NoError(t, json.Unmarshal(play(0, "list", "-o", "json").out.Bytes(), &list))
	require.Equal(t, 1, list.SchemaVersion)
	require.Len(t, list.Items, 3)
	require.Equal(t, 3, list.Total.Images)

	p = play(0, "save", "images.tar")
	require.Equal(t, filepath.Join(dir, "images.tar")+"\n", p.out.String())
	require.Regexp(t, `^saved 3 images, .* in \d+\.\ds\n$`, p.err.String())
	require.Contains(t, play(2, "save", "images.tar").err.String(), "images.tar exists already\nhint: choose another file, or replace this one with --force")
	require.NoError(t, json.Unmarshal(play(0, "save", "images.tar", "--force", "-l", "variant=1.36", "-o", "json").out.Bytes(), &list))
	require.Equal(t, filepath.Join(dir, "images.tar"), list.File)
	require.Len(t, list.Items, 1)
	require.Contains(t, play(2, "save", "none.tar", "-l", "variant=9").err.String(), "no image matches variant=9")
	require.Contains(t, play(2, "save", filepath.Join("missing", "images.tar")).err.String(), "no such file or directory")

	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	p = play(0, "push", host+"/x/", "-o", "name")
	require.Equal(t, host+"/x/hotel/geo:2.3.1\n"+host+"/x/hotel/geo:2.3.2\n"+host+"/x/library/busybox:1.36\n", p.out.String())
	require.Contains(t, p.err.String(), "pushed "+host+"/x/hotel/geo:2.3.1\n")
	server.Close()
	require.Contains(t, play(6, "push", host).err.String(), "hint: see that "+host+" can be reached from here")
}

func TestImagesWithoutExecutables(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for _, args := range [][]string{{"list"}, {"save", "images.tar"}, {"push", "localhost:1"}} {
		p := newProcess(t, append([]string{"images"}, args...)...)
		p.Backend.Images = func(string) (*images.Set, error) { return images.Find(empty) }
		require.Equal(t, 6, p.main(), args)
		require.Contains(t, p.err.String(), "no such executable in "+empty)
		require.Contains(t, p.err.String(), "hint: run make build")
	}
}

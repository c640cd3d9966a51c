package images_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/binaries"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/images"
)

func TestList(t *testing.T) {
	t.Parallel()
	s := newSet(t)
	var refs []string
	var sum int64
	digests, ids := map[string]bool{}, map[string]bool{}
	for _, im := range s.List() {
		refs = append(refs, im.Ref)
		digests[im.Digest], ids[im.ID] = true, true
		require.Regexp(t, `^sha256:[0-9a-f]{64}$`, im.Digest)
		require.Regexp(t, `^sha256:[0-9a-f]{64}$`, im.ID)
		require.Greater(t, im.Size, int64(100_000), im.Ref)
		require.Greater(t, im.Unpacked, im.Size, im.Ref)
		require.Equal(t, im.Digest, s.Digests()[im.Ref])
		sum += im.Size
	}
	require.Equal(t, []string{coredns, geo1, geo2, busybox, mysql}, refs, "sorted, and without what nodes run for themselves")
	require.Len(t, digests, len(refs))
	require.Len(t, ids, len(refs))
	geo := find(t, s, geo2)
	require.Equal(t, "hotel/geo", geo.Program)
	require.Equal(t, "2.3.2", geo.Variant)
	total := s.Total()
	require.Equal(t, 5, total.Images)
	require.Equal(t, 1+3+5, total.Layers, "the base, one for each executable, one for each image")
	require.Less(t, total.Bytes, sum-200_000, "executables are counted once")
	require.Greater(t, find(t, s, mysql).Size, find(t, s, busybox).Size+90_000, "a store has the shell's executable and its own")

	one := s.Select(func(im images.Image) bool { return im.Program == "hotel/geo" })
	require.Len(t, one.List(), 2)
	require.Equal(t, geo, one.List()[1])
	require.Less(t, one.Total().Bytes, total.Bytes)
	require.Len(t, s.List(), 5)
}

func TestSameExecutablesGiveTheSameImages(t *testing.T) {
	t.Parallel()
	first, again := newSet(t), newSet(t) // In other directories, and made at other times.
	require.Equal(t, first.List(), again.List())

	changed := executables(t, 1)
	changed[1] = executables(t, 2)[1] // gameday-mysql
	other, err := images.New(changed...)
	require.NoError(t, err)
	for _, im := range other.List() {
		if im.Ref == mysql {
			require.NotEqual(t, find(t, first, mysql).Digest, im.Digest)
		} else {
			require.Equal(t, find(t, first, im.Ref), im)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	from := executables(t, 1)
	_, err := images.New(from[0], from[2])
	require.ErrorContains(t, err, "make image registry.local/library/mysql: its program is in gameday-mysql, which is not there")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	double := from[2]
	double.Path = from[1].Path
	_, err = images.New(from[2], double)
	require.ErrorContains(t, err, "make image "+coredns+": two executables offer it")
	from[0].Path = filepath.Join(t.TempDir(), "gone")
	_, err = images.New(from[0])
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, errs.Infra, errs.PartyOf(err))
}

func TestFindRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := images.Find(dir)
	require.ErrorContains(t, err, "no such executable in "+dir)
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "make build")
	for _, name := range append(binaries.Programs(), binaries.Companions()...) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho '[]'\n"), 0o755))
	}
	_, err = images.Find(dir)
	require.ErrorContains(t, err, "read executable "+dir)
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "CGO_ENABLED=0")
}

// TestFind makes images of a real executable: this test, under the names of those that have programs.
func TestFind(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	t.Setenv("IMAGES_TEST_MAIN", "1")
	if _, err := images.Inspect(t.Context(), self); err != nil {
		require.ErrorContains(t, err, "it needs shared libraries", "so it does with the race detector")
		t.Skip(err)
	}
	dir := t.TempDir()
	for _, name := range append(binaries.Programs(), binaries.Companions()...) {
		require.NoError(t, os.Symlink(self, filepath.Join(dir, name)))
	}
	s, err := images.Find(dir)
	require.NoError(t, err)
	require.Len(t, s.List(), 5)
	info, err := os.Stat(self)
	require.NoError(t, err)
	require.Greater(t, find(t, s, geo1).Unpacked, info.Size())
	require.Less(t, find(t, s, geo1).Size, info.Size())
}

package images_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/images"
)

// executable is the beginning of an executable without shared libraries for a machine, and some text in place of the rest.
func executable(t *testing.T, machine elf.Machine, text string) []byte {
	t.Helper()
	header := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT)}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)
	header.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	var out bytes.Buffer
	require.NoError(t, binary.Write(&out, binary.LittleEndian, header))
	out.WriteString(text)
	return out.Bytes()
}

// harnessDir has an executable under each name of the harness.
func harnessDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range harnessNames() {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), executable(t, elf.EM_AARCH64, name+" of github.com/gameday-bench/gameday"), 0o755))
	}
	return dir
}

func harnessNames() []string {
	return []string{"gameday", "gameday-cluster", "gameday-dns", "gameday-mysql", "gameday-pod", "gameday-prometheus"}
}

func TestHarness(t *testing.T) {
	t.Parallel()
	dir := harnessDir(t)
	s, err := images.Harness(t.Context(), dir)
	require.NoError(t, err)
	all := s.List()
	require.Len(t, all, 1)
	require.Regexp(t, `^registry\.local/gameday/harness:[0-9a-f]{16}$`, all[0].Ref)
	image := saved(t, s)(all[0].Ref)
	require.NoError(t, validate.Image(image))
	file, err := image.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, v1.Config{
		Entrypoint: []string{"/usr/local/bin/gameday"}, User: "65532", WorkingDir: "/",
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}, file.Config)
	root := unpack(t, image)
	require.Equal(t, "arm64", file.Architecture)
	for _, name := range harnessNames() {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, int64(0o755), root["usr/local/bin/"+name].Mode, name)
		require.Equal(t, string(data), root["usr/local/bin/"+name].content, name)
	}
	require.NotContains(t, root, "bin/sh")

	again, err := images.Harness(t.Context(), dir)
	require.NoError(t, err)
	require.Equal(t, all, again.List())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gameday-dns"), executable(t, elf.EM_AARCH64, "another"), 0o755))
	other, err := images.Harness(t.Context(), dir)
	require.NoError(t, err)
	require.NotEqual(t, all[0].Ref, other.List()[0].Ref, "another content has another tag")
}

func TestHarnessRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := images.Harness(t.Context(), dir)
	require.ErrorContains(t, err, "find gameday: no such executable")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gameday"), []byte("#!/bin/sh\n"), 0o755))
	_, err = images.Harness(t.Context(), dir)
	require.ErrorContains(t, err, "read executable")
	require.Contains(t, errs.HintOf(err), "CGO_ENABLED=0")

	dir = harnessDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gameday-pod"), executable(t, elf.EM_X86_64, ""), 0o755))
	_, err = images.Harness(t.Context(), dir)
	require.ErrorContains(t, err, "is for arm64, ")
	require.ErrorContains(t, err, "gameday-pod for amd64")
}

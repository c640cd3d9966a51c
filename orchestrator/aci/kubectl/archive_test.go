package kubectl

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestArchivesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	src := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(src, "tree", "empty"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(src, "tree", "deep"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(src, "tree", "deep", "f"), []byte("content"), 0o600))
	var packed, warnings bytes.Buffer
	require.NoError(t, pack(&packed, filepath.Join(src, "tree"), "tmp/other"))
	dest := filepath.Join(t.TempDir(), "new", "copy")
	require.NoError(t, unpack(&packed, "tmp/other", dest, &warnings))
	data, err := os.ReadFile(filepath.Join(dest, "deep", "f"))
	require.NoError(t, err)
	require.Equal(t, "content", string(data))
	require.DirExists(t, filepath.Join(dest, "empty"))
	require.Empty(t, warnings.String())
}

// TestEndlessArchives: a sparse file costs the container nothing.
func TestEndlessArchives(t *testing.T) {
	t.Parallel()
	reader, writer := io.Pipe()
	go func() {
		archive := tar.NewWriter(writer)
		err := archive.WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeReg, Size: 1 << 40, Mode: 0o600})
		for zeros := make([]byte, 1<<20); err == nil; {
			_, err = archive.Write(zeros)
		}
		writer.CloseWithError(err)
	}()
	dest := filepath.Join(t.TempDir(), "x")
	require.ErrorIs(t, unpack(reader, "x", dest, io.Discard), errTooMuch)
	require.NoError(t, reader.Close())
	require.NoFileExists(t, dest)
}

// TestHostileArchives: the container belongs to whoever broke into it.
func TestHostileArchives(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		header  tar.Header
		warning string
		err     string
	}{
		{"climbs", tar.Header{Name: "x/../../evil", Typeflag: tar.TypeReg}, "outside target destination", ""},
		{"climbs past the name", tar.Header{Name: "x/../evil", Typeflag: tar.TypeReg}, "outside target destination", ""},
		{"another name", tar.Header{Name: "evil", Typeflag: tar.TypeReg}, "", "corrupted"},
		{"symlink", tar.Header{Name: "x/evil", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, "skipping symlink", ""},
		{"hard link", tar.Header{Name: "x/evil", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}, "not a regular file", ""},
		{"device", tar.Header{Name: "x/evil", Typeflag: tar.TypeBlock}, "not a regular file", ""},
		{"through a link of the workspace", tar.Header{Name: "x/out/evil", Typeflag: tar.TypeReg}, "", "escapes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			workspace := filepath.Join(top, "workspace")
			require.NoError(t, os.MkdirAll(filepath.Join(workspace, "x"), 0o755))
			require.NoError(t, os.Symlink(top, filepath.Join(workspace, "x", "out")))
			var packed, warnings bytes.Buffer
			archive := tar.NewWriter(&packed)
			require.NoError(t, archive.WriteHeader(&tc.header))
			require.NoError(t, archive.Close())
			err := unpack(&packed, "x", filepath.Join(workspace, "x"), &warnings)
			if tc.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.err)
			}
			require.Contains(t, warnings.String(), tc.warning)
			for _, dir := range []string{top, workspace, filepath.Join(workspace, "x")} {
				require.NoFileExists(t, filepath.Join(dir, "evil"))
			}
		})
	}
}

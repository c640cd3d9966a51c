package images

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Lacking returns those of refs that no image of an archive is called. The archive is one that container runtimes load: what docker save
// writes, or an OCI layout in a tar file, compressed or not. One that cannot be read, or has no table of contents, is an error without a
// party.
func Lacking(archive string, refs ...string) ([]string, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, fmt.Errorf("read archive of images: %w", err)
	}
	defer f.Close()
	in, done, err := unpacked(f)
	if err != nil {
		return nil, fmt.Errorf("read archive of images %s: %w", archive, err)
	}
	defer done()
	names, err := contents(tar.NewReader(in))
	if err != nil {
		return nil, fmt.Errorf("read archive of images %s: %w", archive, err)
	}
	has := map[string]bool{}
	for _, ref := range names {
		has[whole(ref)] = true
	}
	return slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return has[whole(ref)] }), nil
}

// whole is a reference with all that engines add to it where it is missing: registry, library and tag. What is none stays as it is.
func whole(ref string) string {
	tag, err := name.NewTag(ref)
	if err != nil {
		return ref
	}
	return tag.Name()
}

// unpacked is the content of a file, which runtimes unpack where it begins like one of these. done ends the reading.
func unpacked(f *os.File) (in io.Reader, done func(), err error) {
	head := make([]byte, 4)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, nil, err
	}
	switch head = head[:n]; {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		r, err := gzip.NewReader(bufio.NewReader(f))
		if err != nil {
			return nil, nil, err
		}
		return r, func() { _ = r.Close() }, nil
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		r, err := zstd.NewReader(f)
		if err != nil {
			return nil, nil, err
		}
		return r, r.Close, nil
	}
	return f, func() {}, nil // Not through a buffer: then layers are skipped, and not read.
}

// contents are the names in both tables of contents: an archive may have one of them only.
func contents(in *tar.Reader) ([]string, error) {
	var names []string
	known := false
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch path.Clean(header.Name) {
		case manifestFile:
			var docker []struct{ RepoTags []string }
			if err := json.NewDecoder(in).Decode(&docker); err != nil {
				return nil, fmt.Errorf("decode %s: %w", manifestFile, err)
			}
			known = true
			for _, im := range docker {
				names = append(names, im.RepoTags...)
			}
		case indexFile:
			var index struct {
				Manifests []struct {
					Annotations map[string]string `json:"annotations"`
				} `json:"manifests"`
			}
			if err := json.NewDecoder(in).Decode(&index); err != nil {
				return nil, fmt.Errorf("decode %s: %w", indexFile, err)
			}
			known = true
			for _, im := range index.Manifests {
				names = append(names, im.Annotations[nameAnnotation], im.Annotations[tagAnnotation])
			}
		}
	}
	if !known {
		return nil, fmt.Errorf("it has neither %s nor %s", manifestFile, indexFile)
	}
	return names, nil
}

// Package layer makes container images of files, without a container engine. Its layers are not compressed: they go from one disk to the
// same disk, and compressing them would take longer than all the rest.
package layer

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Layer is a layer that is read from its files whenever it is wanted, and never kept. The files must not change meanwhile. It may be
// used by several goroutines.
type Layer struct {
	write  func(*tar.Writer) error
	digest v1.Hash
	size   int64
}

var _ v1.Layer = (*Layer)(nil)

// newLayer reads a layer once for its digest.
func newLayer(write func(*tar.Writer) error) (*Layer, error) {
	l := &Layer{write: write}
	sum, count := sha256.New(), new(counter)
	if err := l.stream(io.MultiWriter(sum, count)); err != nil {
		return nil, err
	}
	l.digest, l.size = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}, count.n
	return l, nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// stream writes the layer.
func (l *Layer) stream(w io.Writer) error {
	const buffer = 1 << 20
	buffered := bufio.NewWriterSize(w, buffer)
	archive := tar.NewWriter(buffered)
	if err := l.write(archive); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("end layer: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("end layer: %w", err)
	}
	return nil
}

// Digest is that of the layer as it is transferred, DiffID that of its files: they are the same.
func (l *Layer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID is the same as Digest.
func (l *Layer) DiffID() (v1.Hash, error) { return l.digest, nil }

// Compressed is the same as Uncompressed.
func (l *Layer) Compressed() (io.ReadCloser, error) { return l.Uncompressed() }

// Uncompressed returns the layer as a tar archive. The caller reads it to its end or closes it.
func (l *Layer) Uncompressed() (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(l.stream(w)) }()
	return r, nil
}

// Size is the number of bytes of the archive.
func (l *Layer) Size() (int64, error) { return l.size, nil }

// MediaType says that the layer is not compressed.
func (l *Layer) MediaType() (types.MediaType, error) { return types.DockerUncompressedLayer, nil }

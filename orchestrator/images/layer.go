package images

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
)

// layer is a layer that is written anew each time that it is read: it keeps its digests, not its bytes, which are a hundred
// megabytes. It may be read several times at once.
type layer struct {
	entries []entry
	// digest is of the compressed layer, diffID of the tar archive in it.
	digest, diffID v1.Hash
	// size is that of the compressed layer, unpacked that of the tar archive, in bytes.
	size, unpacked int64
}

var _ v1.Layer = (*layer)(nil)

// newLayer writes the layer once, to nowhere, for its digests.
func newLayer(entries []entry) (*layer, error) {
	l := &layer{entries: withParents(entries)}
	packed, raw := &meter{Hash: sha256.New()}, &meter{Hash: sha256.New()}
	if err := l.compress(packed, raw); err != nil {
		return nil, fmt.Errorf("make layer: %w", err)
	}
	l.digest, l.size, l.diffID, l.unpacked = packed.sum(), packed.size, raw.sum(), raw.size
	return l, nil
}

// compress writes the compressed layer to w and, as it goes by, the tar archive to raw.
func (l *layer) compress(w, raw io.Writer) error {
	// The fastest level: images are made far more often than they travel far.
	packer, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := writeTar(io.MultiWriter(packer, raw), l.entries); err != nil {
		return err
	}
	return packer.Close()
}

// Digest is the digest of the compressed layer.
func (l *layer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID is the digest of the tar archive.
func (l *layer) DiffID() (v1.Hash, error) { return l.diffID, nil }

// Size is the size of the compressed layer, in bytes.
func (l *layer) Size() (int64, error) { return l.size, nil }

// MediaType says that the layer is a compressed tar archive.
func (l *layer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// Compressed reads the compressed layer. The caller closes it.
func (l *layer) Compressed() (io.ReadCloser, error) {
	return piped(func(w io.Writer) error { return l.compress(w, io.Discard) }), nil
}

// Uncompressed reads the tar archive. The caller closes it.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	return piped(func(w io.Writer) error { return writeTar(w, l.entries) }), nil
}

// piped reads what write writes. Closing it early ends write with an error.
func piped(write func(io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(write(w)) }() // It never fails.
	return r
}

// meter counts and hashes what is written to it.
type meter struct {
	hash.Hash
	size int64
}

func (m *meter) Write(p []byte) (int, error) {
	m.size += int64(len(p))
	return m.Hash.Write(p)
}

func (m *meter) sum() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(m.Sum(nil))}
}

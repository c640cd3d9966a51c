package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gameday-bench/gameday/internal/errs"
)

// Save writes one archive with all images to path, under their references. It is what docker save writes today, so that docker
// load, podman load, kind and ctr images import read it: an OCI layout, by which nodes keep the images with their digests, with
// Docker's own table of contents. Layers that images share are in it once. The same set gives the same bytes.
//
// What was at path is replaced once the archive is whole. An empty set and a directory that does not exist are errors of party
// usage, an archive that cannot be written is one of party infra.
func (s *Set) Save(ctx context.Context, path string) (err error) {
	if len(s.images) == 0 {
		return errs.Newf(errs.Usage, "save images: there are none to save")
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return s.unsaved(ctx, err)
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			err = errors.Join(s.unsaved(ctx, err), os.Remove(tmp.Name()))
		}
	}()
	if err = s.archive(writerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return tmp.Write(p)
	})); err != nil {
		return err
	}
	if err = tmp.Chmod(0o644); err != nil {
		return err
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// unsaved says whose failure it is that an archive was not written.
func (s *Set) unsaved(ctx context.Context, err error) error {
	err = fmt.Errorf("save images: %w", err)
	switch {
	case ctx.Err() != nil:
		return errs.With(errs.Interrupted, err)
	case errors.Is(err, fs.ErrNotExist):
		return errs.With(errs.Usage, err)
	}
	return errs.Hint(errs.With(errs.Infra, err), "choose a place with %d MiB of free space that you may write to", s.Total().Bytes>>20+1)
}

type writerFunc func(p []byte) (int, error)

var _ io.Writer = writerFunc(nil)

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/internal/binaries"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/workloads/program"
)

const (
	// HarnessRepository is the repository of the image of the harness itself.
	HarnessRepository = "registry.local/gameday/harness"
	// HarnessDir is where its executables lie, side by side.
	HarnessDir = "/usr/local/bin"
	// harnessName is the executable that the others lie beside, and the name of the image's program.
	harnessName = "gameday"
	// clusterName is the executable of the embedded cluster's processes.
	clusterName = "gameday-cluster"
	// harnessTag is how much of the digest of the content is the tag, in hexadecimal digits.
	harnessTag = 16
)

// Harness makes the image of the harness: gameday with all that it starts, so that a pod can play trials on an embedded cluster of its
// own. The executables are those in dir or, where it is empty, those that binaries.Find finds. There is nothing else in it, no shell
// either; its user is not root, and it runs with a root file system that cannot be written.
//
// The set has one image. Its tag says what is in it, so that a node never takes an older one for it. Executables that are missing or
// of no use, and those for different machines, are errors of party infra.
func Harness(ctx context.Context, dir string) (*Set, error) {
	names := slices.Concat([]string{harnessName, clusterName}, binaries.Programs(), binaries.Companions())
	found := make([]Binary, len(names))
	for i, name := range names {
		path, err := binaries.Find(dir, name)
		if err != nil {
			return nil, err
		}
		found[i].Path = path
		if found[i].Architecture, err = architecture(path); err != nil {
			return nil, err
		}
		if arch := found[0].Architecture; found[i].Architecture != arch {
			return nil, buildAgain(errs.Newf(errs.Infra, "make image of the harness: %s is for %s, %s for %s", found[0].Path, arch, path, found[i].Architecture))
		}
	}
	layers := make([]*layer, len(found)+1)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	group.Go(func() (err error) {
		layers[0], err = newLayer(base())
		return err
	})
	for i, b := range found {
		group.Go(func() error {
			executable, err := b.asIs(ctx)
			if err == nil {
				layers[i+1], err = newLayer([]entry{executable})
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, errs.With(errs.Infra, err)
	}
	return harnessOf(found[0].Architecture, layers)
}

func harnessOf(arch string, layers []*layer) (*Set, error) {
	content := sha256.New()
	for _, l := range layers {
		_, _ = io.WriteString(content, l.diffID.String()) // It never fails.
	}
	tag := hex.EncodeToString(content.Sum(nil))[:harnessTag]
	im := &image{
		Image: Image{Ref: HarnessRepository + ":" + tag, Program: harnessName, Variant: tag},
		config: configuration(arch, program.Listing{
			Repository: HarnessRepository, Program: harnessName, Entrypoint: []string{HarnessDir + "/" + harnessName}, User: program.NonRoot,
		}),
		layers: layers,
	}
	if err := im.measure(); err != nil {
		return nil, err
	}
	return &Set{images: []*image{im}}, nil
}

// asIs is the executable as the harness needs it, under its own name.
func (b Binary) asIs(ctx context.Context) (entry, error) {
	info, err := os.Stat(b.Path)
	if err != nil {
		return entry{}, err
	}
	if err := context.Cause(ctx); err != nil {
		return entry{}, err
	}
	return entry{
		name: filepath.ToSlash(filepath.Join(HarnessDir[1:], b.name())), mode: 0o755, size: info.Size(),
		open: func() (io.ReadCloser, error) { return os.Open(b.Path) },
	}, nil
}

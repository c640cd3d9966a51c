package recipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/layer"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/steps"
)

// preload fills a store of containerd with the images of a node, and with those of Chaos Mesh, so that nothing has to be pulled or loaded.
// The containerd that does it is the one of the image, run on this machine with directories of its own.
func (r *recipe) preload(ctx context.Context, dir string, after steps.Dirs) (string, error) {
	kind, err := r.kindFiles(ctx)
	if err != nil {
		return "", err
	}
	config, err := os.ReadFile(filepath.Join(kind, containerdConfig))
	if err != nil {
		return "", fmt.Errorf("read containerd's configuration: %w", err)
	}
	sandbox, err := sandboxImage(string(config))
	if err != nil {
		return "", err
	}
	images, err := r.images(ctx, after, sandbox)
	if err != nil {
		return "", err
	}
	chaos, err := readChaosRefs(after[Chart])
	if err != nil {
		return "", err
	}
	want := []string{sandbox, chaos.manager, chaos.daemon}
	for _, image := range images {
		want = append(want, image.Tags...)
	}
	store, err := startStore(ctx, after[build("containerd")], dir)
	if err != nil {
		return "", err
	}
	err = errors.Join(fill(ctx, store, images, filepath.Join(after[ChaosImages], ChaosArchive), want), store.stop())
	return fmt.Sprintf("%d images", len(want)-1), err
}

// fill imports images, and those of an archive, and checks that the store has everything that is wanted.
func fill(ctx context.Context, store *store, images []layer.Image, archive string, want []string) error {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(layer.Archive(w, images...)) }()
	defer r.Close()
	if err := store.load(ctx, r); err != nil {
		return err
	}
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("open images of Chaos Mesh: %w", err)
	}
	defer f.Close()
	if err := store.load(ctx, f); err != nil {
		return err
	}
	have, err := store.list(ctx)
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(want), func(ref string) bool { return slices.Contains(have, ref) })
	if len(missing) > 0 {
		return fmt.Errorf("images that were loaded are not in the store: %s", strings.Join(missing, ", "))
	}
	return nil
}

var sandboxSetting = regexp.MustCompile(`sandbox_image\s*=\s*"([^"\n]+)"`)

// sandboxImage is the image that a configuration of containerd makes sandboxes of.
func sandboxImage(config string) (string, error) {
	match := sandboxSetting.FindStringSubmatch(config)
	if match == nil {
		return "", errors.New("containerd's configuration names no sandbox_image")
	}
	return match[1], nil
}

// patience is how long containerd may take to answer, and to end.
const patience = 30 * time.Second

package layer

import (
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Image is a container image for the architecture of this machine.
type Image struct {
	// Tags are the names it goes by, as they are to be found by container engines: one at least.
	Tags []string
	// Layers are its file system, from the lowest to the highest.
	Layers []*Layer
	Config v1.Config
}

// Archive writes images in the format of docker save, which docker load, kind load image-archive and ctr images import read. Layers that
// several images share are in it once.
func Archive(w io.Writer, images ...Image) error {
	byName := map[name.Reference]v1.Image{}
	for _, image := range images {
		made, err := image.build()
		if err != nil {
			return fmt.Errorf("make image %v: %w", image.Tags, err)
		}
		for _, tag := range image.Tags {
			ref, err := name.NewTag(tag)
			if err != nil {
				return fmt.Errorf("name image: %w", err)
			}
			byName[ref] = made
		}
	}
	if err := tarball.MultiRefWrite(byName, w); err != nil {
		return fmt.Errorf("write archive of images: %w", err)
	}
	return nil
}

func (i Image) build() (v1.Image, error) {
	base, err := empty.Image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config := base.DeepCopy()
	// No time of the build, so that the same content has the same digest.
	created := v1.Time{Time: time.Unix(0, 0).UTC()}
	config.OS, config.Architecture, config.Created, config.Config = "linux", runtime.GOARCH, created, i.Config
	image, err := mutate.ConfigFile(empty.Image, config)
	if err != nil {
		return nil, err
	}
	history := v1.History{Created: created, CreatedBy: "hack/kindnode"}
	adds := make([]mutate.Addendum, 0, len(i.Layers))
	for _, l := range i.Layers {
		adds = append(adds, mutate.Addendum{Layer: l, History: history})
	}
	return mutate.Append(image, adds...)
}

package recipe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"gopkg.in/yaml.v3"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/layer"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/steps"
)

// chart copies Chaos Mesh's chart out of its module, where every file is read-only.
func (r *recipe) chart(ctx context.Context, dir string, _ steps.Dirs) (string, error) {
	const path = "github.com/chaos-mesh/chaos-mesh"
	module := r.Source.Module(chaosModule)
	source, err := module.Source(ctx, path)
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(source, "helm", "chaos-mesh"))); err != nil {
		return "", fmt.Errorf("copy chart: %w", err)
	}
	return module.Version(ctx, path)
}

// chaosRefs are the names under which the chart looks for its images.
type chaosRefs struct{ manager, daemon string }

// readChaosRefs reads them from the chart's default values.
func readChaosRefs(chart string) (chaosRefs, error) {
	data, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return chaosRefs{}, fmt.Errorf("read values of the chart: %w", err)
	}
	type image struct{ Registry, Repository, Tag string }
	var values struct {
		Images            image
		ControllerManager struct{ Image image } `yaml:"controllerManager"`
		ChaosDaemon       struct{ Image image } `yaml:"chaosDaemon"`
	}
	if err := yaml.Unmarshal(data, &values); err != nil {
		return chaosRefs{}, fmt.Errorf("decode values of the chart: %w", err)
	}
	ref := func(i image) (string, error) {
		if i.Registry == "" {
			i.Registry = values.Images.Registry
		}
		if i.Tag == "" {
			i.Tag = values.Images.Tag
		}
		if i.Registry == "" || i.Repository == "" || i.Tag == "" {
			return "", fmt.Errorf("values of the chart: an image needs registry, repository and tag, but has %q, %q and %q",
				i.Registry, i.Repository, i.Tag)
		}
		return i.Registry + "/" + i.Repository + ":" + i.Tag, nil
	}
	manager, err := ref(values.ControllerManager.Image)
	if err != nil {
		return chaosRefs{}, err
	}
	daemon, err := ref(values.ChaosDaemon.Image)
	return chaosRefs{manager, daemon}, err
}

// chaosImages makes the images that the chart names.
func (r *recipe) chaosImages(_ context.Context, dir string, after steps.Dirs) (note string, err error) {
	refs, err := readChaosRefs(after[Chart])
	if err != nil {
		return "", err
	}
	manager, err := withPath(refs.manager, filepath.Join(after[build("chaos-mesh")], "chaos-controller-manager"))
	if err != nil {
		return "", err
	}
	daemon, err := daemonImage(refs.daemon, after)
	if err != nil {
		return "", err
	}
	f, err := os.Create(filepath.Join(dir, ChaosArchive))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return refs.manager + " " + refs.daemon, layer.Archive(f, manager, daemon)
}

// daemonImage is the daemon with the programs that it runs. Those that are not written in Go have stand-ins; tproxy and toda have none, so
// HTTPChaos and IOChaos fail with this image.
func daemonImage(ref string, after steps.Dirs) (layer.Image, error) {
	tools, err := toolsLayer(after[root])
	if err != nil {
		return layer.Image{}, err
	}
	const bin = "usr/local/bin/"
	chaos, ours := after[build("chaos-mesh")], after[build(own)]
	top, err := layer.Files(
		layer.Dir("tmp", sticky),
		layer.File(bin+"chaos-daemon", filepath.Join(chaos, "chaos-daemon"), executable),
		layer.File(bin+"cdh", filepath.Join(chaos, "cdh"), executable),
		// The daemon takes a process for started once its name is not pause any more.
		layer.File(bin+"pause", filepath.Join(ours, "chaos-pause"), executable),
		layer.File(bin+"nsexec", filepath.Join(ours, "nsexec"), executable),
		layer.File(bin+"stress-ng", filepath.Join(ours, "stress"), executable),
		layer.Link(bin+"memStress", "stress-ng"),
	)
	if err != nil {
		return layer.Image{}, fmt.Errorf("make image %s: %w", ref, err)
	}
	return layer.Image{
		Tags: []string{ref}, Layers: []*layer.Layer{tools, top}, Config: v1.Config{Env: searchPath, WorkingDir: "/"},
	}, nil
}

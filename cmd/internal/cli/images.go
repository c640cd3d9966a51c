package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/images"
)

// imageFlags choose among the images.
type imageFlags struct{ selectors []string }

// imageKeys are the keys of -l, with what they compare.
func imageKeys() map[string]func(images.Image) string {
	return map[string]func(images.Image) string{
		"program": func(im images.Image) string { return im.Program },
		"variant": func(im images.Image) string { return im.Variant },
	}
}

// imageList is what list and push print as JSON and YAML.
type imageList struct {
	SchemaVersion int            `json:"schemaVersion"`
	Items         []images.Image `json:"items"`
	Total         images.Total   `json:"total"`
}

// savedImages is what save prints as JSON and YAML.
type savedImages struct {
	imageList
	File string `json:"file"`
}

func newImages(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "images", Short: "Make container images of the in-cluster programs", GroupID: groupCluster,
		Long: `Make container images of the programs that run in clusters: applications, stores, load and monitoring.

The embedded cluster needs none, and kind clusters are given them; an existing cluster pulls them from a registry of
yours. They are made from the executables beside gameday, without Docker, and the same executables give the same digests.`,
		Example: "  gameday images list\n  gameday images push ghcr.io/me/exercise\n  gameday images save images.tar",
		Args:    unknownCommand, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImagesList(a), newImagesSave(a), newImagesPush(a))
	return cmd
}

func newImagesList(a *app) *cobra.Command {
	f, noHeaders := &imageFlags{}, false
	cmd := &cobra.Command{
		Use: "list", Short: "List the images",
		Long: `List the images with their sizes and digests.

Sizes are those in a registry. What images share counts in each of them, and once in the sum.`,
		Example: "  gameday images list\n  gameday images list -l 'program=hotel/*' -o wide\n  gameday images list -o json",
		Args:    nameArgs(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			set, err := a.images(f)
			if err != nil {
				return err
			}
			return a.printImages(set.List(), set.Total(), noHeaders)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&noHeaders, "no-headers", false, "print no header line")
	a.outputFlag(cmd, imageFormats(), render.Table)
	return cmd
}

func newImagesSave(a *app) *cobra.Command {
	f, force := &imageFlags{}, false
	cmd := &cobra.Command{
		Use: "save FILE", Short: "Save the images as one archive",
		Long: `Save the images as one archive that docker load, podman load, kind load image-archive and ctr images import read.

The images have the references of the manifests. The command prints the path of the archive.`,
		Example: "  gameday images save images.tar\n  gameday images save geo.tar -l program=hotel/geo -l variant=2.3.1\n  kind load image-archive images.tar",
		Args:    nameArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := a.path(args[0])
			if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) && !force {
				return errs.Hint(errs.Newf(errs.Usage, "save images: %s exists already", args[0]), "choose another file, or replace this one with --force")
			}
			set, err := a.someImages(f)
			if err != nil {
				return err
			}
			began := time.Now()
			if err := set.Save(cmd.Context(), file); err != nil {
				return err
			}
			fmt.Fprintf(a.notes(), "saved %s in %.1fs\n", imagesTotal(set.Total()), time.Since(began).Seconds())
			if a.output != render.Text {
				return render.Object(a.Stdout, a.output, savedImages{imageList{render.SchemaVersion, set.List(), set.Total()}, file})
			}
			_, err = fmt.Fprintln(a.Stdout, file)
			return err
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "replace a file that exists")
	a.outputFlag(cmd, render.ObjectFormats(), render.Text)
	return cmd
}

func newImagesPush(a *app) *cobra.Command {
	f, o := &imageFlags{}, images.PushOptions{}
	cmd := &cobra.Command{
		Use: "push REGISTRY", Short: "Push the images to a registry",
		Long: `Push the images to a registry, from which the nodes of an existing cluster can pull them.

REGISTRY is a host that a path may follow, such as ghcr.io/me/exercise: registry.local/hotel/geo:2.3.1 then becomes
ghcr.io/me/exercise/hotel/geo:2.3.1. Credentials are those of docker login. What the registry has is not sent again; a
push that was interrupted is continued by the same command.`,
		Example: `  gameday images push ghcr.io/me/exercise
  gameday images push localhost:5000 --insecure
  gameday images push ghcr.io/me/exercise -l 'program=hotel/*' -o json`,
		Args: nameArgs(1, 1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			registry := strings.TrimSuffix(args[0], "/")
			if _, err := images.Reference(registry, "registry.local/library/busybox:1"); err != nil {
				return err
			}
			set, err := a.someImages(f)
			if err != nil {
				return err
			}
			began, o := time.Now(), o
			o.Pushed = func(im images.Image) { fmt.Fprintf(a.notes(), "pushed %s\n", im.Ref) }
			pushed, err := set.Push(cmd.Context(), registry, o)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.notes(), "pushed in %.1fs\n", time.Since(began).Seconds())
			return a.printImages(pushed, set.Total(), false)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&o.Insecure, "insecure", false, "allow a registry without TLS, or with a certificate that nobody vouches for")
	a.outputFlag(cmd, imageFormats(), render.Table)
	return cmd
}

func imageFormats() []string {
	return []string{render.Table, render.Wide, render.Name, render.JSON, render.YAML}
}

func (f *imageFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&f.selectors, "selector", "l", nil, "only images with key=pattern (repeatable); keys: program, variant")
}

// filter returns what the selectors keep. A value is a pattern, in which * stands for anything but a slash.
func (f *imageFlags) filter() (func(images.Image) bool, error) {
	keys := imageKeys()
	keep := func(images.Image) bool { return true }
	for _, selector := range f.selectors {
		key, pattern, ok := strings.Cut(selector, "=")
		if !ok {
			return nil, &flagError{errs.Newf(errs.Usage, "invalid --selector %q: want key=pattern", selector)}
		}
		value, known := keys[key]
		if !known {
			return nil, unknown("selector key", key, []string{"program", "variant"})
		}
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, &flagError{errs.Newf(errs.Usage, "invalid --selector %q: %w", selector, err)}
		}
		others := keep
		keep = func(im images.Image) bool {
			matches, _ := path.Match(pattern, value(im)) // The pattern is good.
			return matches && others(im)
		}
	}
	return keep, nil
}

// images makes the images that the flags choose.
func (a *app) images(f *imageFlags) (*images.Set, error) {
	keep, err := f.filter()
	if err != nil {
		return nil, err
	}
	set, err := a.Backend.Images("")
	if err != nil {
		return nil, err
	}
	return set.Select(keep), nil
}

// someImages is images for what cannot do with none.
func (a *app) someImages(f *imageFlags) (*images.Set, error) {
	set, err := a.images(f)
	if err == nil && len(set.List()) == 0 {
		err = errs.Hint(errs.Newf(errs.Usage, "no image matches %s", strings.Join(f.selectors, " and ")), "see them all with: gameday images list")
	}
	return set, err
}

func (a *app) printImages(all []images.Image, total images.Total, noHeaders bool) error {
	if slices.Contains([]string{render.JSON, render.YAML}, a.output) {
		return render.Object(a.Stdout, a.output, imageList{render.SchemaVersion, all, total})
	}
	l := render.List{Columns: columns("image", "program", "variant", "size", "+unpacked", "+digest", "+id"), Items: all, Note: "no images match"}
	for _, im := range all {
		l.Rows = append(l.Rows, []string{im.Ref, im.Program, im.Variant, mebibytes(im.Size), mebibytes(im.Unpacked), im.Digest, im.ID})
	}
	if err := a.printList(l, noHeaders); err != nil {
		return err
	}
	if len(all) > 0 && a.output != render.Name {
		fmt.Fprintln(a.notes(), imagesTotal(total))
	}
	return nil
}

// imagesTotal says how much images are together.
func imagesTotal(t images.Total) string {
	return fmt.Sprintf("%s, %s in all (%s on a node): what they share counts once", plural(t.Images, "image"), mebibytes(t.Bytes), mebibytes(t.UnpackedBytes))
}

func mebibytes(n int64) string {
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}

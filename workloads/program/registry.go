package program

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// NonRoot is the user of distroless images.
const NonRoot = 65532

// Image is a container image: one program under the tags of its build variants.
type Image struct {
	// Repository is the image's name with its registry, for example registry.local/hotel/frontend.
	Repository string
	// Tags are the build variants that can be pulled; at least one.
	Tags []string
	// Name is the program's name; empty means Repository without its registry.
	Name string
	// Entrypoint is what a container without a command of its own runs, with its arguments; empty, without a Cmd, means "/" and
	// the last element of Repository.
	Entrypoint []string
	// Cmd are the arguments of a container that gives neither command nor arguments. An image with a Cmd and no Entrypoint
	// takes the container's arguments for the command line, as busybox does.
	Cmd []string
	// User is the user that the image names, 0 for root.
	User uint32
	// Ports are where the program listens unless it is told otherwise, each as 8080/tcp or 53/udp. They tell who looks at the
	// image; nothing depends on them.
	Ports []string
	// Program is what the image runs; nil when Binary is set.
	Program Func
	// Binary is the executable that has the program, for one that is too heavy for every process to carry. It lies beside the
	// one that lists the image, or in PATH, and takes over the process; the image's Commands stay with the lighter one.
	Binary string
	// Commands are the command-line tools that the image brings for its shell, by name, for example mysql; a tool that lies
	// outside of the directories of PATH goes by its whole path.
	Commands map[string]Func
}

// Registry holds the images that one binary offers. Its zero value is empty. It is filled in main, before it is used.
type Registry struct {
	// Tools returns the names of the commands of the binary's shell, which a container of any of its images answers to; nil
	// for a binary without a shell.
	Tools  func() []string
	images map[string]*Image
}

// Register adds images. It panics when a repository or program name is already taken or an image has no tag or not exactly one of program and binary: both are mistakes of
// the programmer.
func (r *Registry) Register(images ...Image) {
	if r.images == nil {
		r.images = map[string]*Image{}
	}
	for _, im := range images {
		_, path, _ := strings.Cut(im.Repository, "/")
		if im.Name == "" {
			im.Name = path
		}
		if len(im.Entrypoint) == 0 && len(im.Cmd) == 0 {
			im.Entrypoint = []string{"/" + path[strings.LastIndex(path, "/")+1:]}
		}
		if im.Repository == "" || len(im.Tags) == 0 || (im.Program == nil) == (im.Binary == "") {
			panic(fmt.Sprintf("register image %q: repository, tags and either program or binary are required", im.Repository))
		}
		if _, taken := r.images[im.Name]; taken {
			panic(fmt.Sprintf("register image %q: program name %q is taken", im.Repository, im.Name))
		}
		r.images[im.Name] = &im
	}
}

// Lookup returns the image whose program has this name.
func (r *Registry) Lookup(name string) (*Image, bool) {
	im, ok := r.images[name]
	return im, ok
}

// Images returns all images, sorted by repository.
func (r *Registry) Images() []*Image {
	return slices.SortedFunc(maps.Values(r.images), func(a, b *Image) int { return cmp.Compare(a.Repository, b.Repository) })
}

// Listing is how a binary tells what images it offers, to the container runtime and to those who make images for other
// clusters: --images prints a JSON list of it.
type Listing struct {
	Repository string   `json:"repository"`
	Tags       []string `json:"tags"`
	// Program is the name that goes into sandbox.Container.Program.
	Program    string   `json:"program"`
	Entrypoint []string `json:"entrypoint,omitempty"`
	Cmd        []string `json:"cmd,omitempty"`
	User       uint32   `json:"user,omitempty"`
	Ports      []string `json:"ports,omitempty"`
	// Binary is the executable that has the program, where it is not the one that lists the image.
	Binary string `json:"binary,omitempty"`
	// Commands are the names that a container answers to beside its entrypoint, sorted: those of the shell and the image's own.
	Commands []string `json:"commands,omitempty"`
}

// Listings describes every image, sorted by repository.
func (r *Registry) Listings() []Listing {
	out := []Listing{}
	for _, im := range r.Images() {
		out = append(out, Listing{
			Repository: im.Repository, Tags: im.Tags, Program: im.Name, Entrypoint: im.Entrypoint, Cmd: im.Cmd, User: im.User, Ports: im.Ports,
			Binary: im.Binary, Commands: r.commands(im),
		})
	}
	return out
}

func (r *Registry) commands(im *Image) []string {
	names := slices.Collect(maps.Keys(im.Commands))
	if r.Tools != nil {
		names = append(names, r.Tools()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

package cri

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/clock"
)

// image is one tag of one program of one binary.
type image struct {
	Repository string
	Tag        string
	Program    string
	Entrypoint []string
	Cmd        []string
	User       uint32
	Binary     string
	Digest     string // sha256:... of the binary's content, the program and the tag.
	Size       uint64 // Bytes of the binary.
}

// Ref is the image's reference as manifests write it.
func (i image) Ref() string { return i.Repository + ":" + i.Tag }

// imageStore is the registry (what could be pulled) and the node's own set (what was pulled).
type imageStore struct {
	catalogue map[string]image
	clock     clock.Clock

	mu     sync.Mutex
	pulled map[string]bool
}

// loadImages asks every binary for its images, all at once.
func loadImages(ctx context.Context, binaries []string, clk clock.Clock) (*imageStore, error) {
	lists := make([][]image, len(binaries))
	group, ctx := errgroup.WithContext(ctx)
	for i, binary := range binaries {
		group.Go(func() (err error) {
			lists[i], err = imagesOf(ctx, binary)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	s := &imageStore{catalogue: map[string]image{}, clock: clk, pulled: map[string]bool{}}
	for _, list := range lists {
		for _, img := range list {
			if other, dup := s.catalogue[img.Ref()]; dup {
				return nil, fmt.Errorf("load images: %s is in %s and in %s", img.Ref(), other.Binary, img.Binary)
			}
			s.catalogue[img.Ref()] = img
		}
	}
	return s, nil
}

func imagesOf(ctx context.Context, binary string) ([]image, error) {
	cmd := exec.CommandContext(ctx, binary, "--images")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list images of %s: %w", binary, err)
	}
	var entries []struct {
		Repository string   `json:"repository"`
		Tags       []string `json:"tags"`
		Program    string   `json:"program"`
		Entrypoint []string `json:"entrypoint"`
		Cmd        []string `json:"cmd"`
		User       uint32   `json:"user"`
	}
	if err := json.Unmarshal(out, &entries); err != nil {
		return nil, fmt.Errorf("decode images of %s: %w", binary, err)
	}
	id, size, err := identify(binary)
	if err != nil {
		return nil, err
	}
	var images []image
	for _, e := range entries {
		for _, tag := range e.Tags {
			sum := sha256.Sum256([]byte(id + "\x00" + e.Repository + "\x00" + e.Program + "\x00" + tag))
			images = append(images, image{
				Repository: e.Repository, Tag: tag, Program: e.Program, Entrypoint: e.Entrypoint, Cmd: e.Cmd, User: e.User, Binary: binary,
				Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: size,
			})
		}
	}
	return images, nil
}

// identify returns what makes this build of the binary different from any other, and its size in bytes. Go's build
// identifier is a digest of the content and lies near the start of the file, so a prefix of it is enough.
func identify(binary string) (string, uint64, error) {
	f, err := os.Open(binary)
	if err != nil {
		return "", 0, fmt.Errorf("identify program binary: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", 0, fmt.Errorf("identify program binary: %w", err)
	}
	h := sha256.New()
	if _, err := io.CopyN(h, f, 1<<20); err != nil && !errors.Is(err, io.EOF) {
		return "", 0, fmt.Errorf("identify program binary: %w", err)
	}
	fmt.Fprintf(h, "%d", fi.Size())
	return hex.EncodeToString(h.Sum(nil)), uint64(fi.Size()), nil
}

// find looks ref up in the catalogue: by reference, by reference with digest, or by image identifier.
func (s *imageStore) find(ref string) (image, bool) {
	if img, ok := s.catalogue[normalize(ref)]; ok {
		return img, true
	}
	_, digest, _ := strings.Cut(ref, "@")
	if strings.HasPrefix(ref, "sha256:") {
		digest = ref
	}
	if digest == "" {
		return image{}, false
	}
	for _, img := range s.catalogue {
		if img.Digest == digest {
			return img, true
		}
	}
	return image{}, false
}

// local is find among what this node has pulled.
func (s *imageStore) local(ref string) (image, bool) {
	img, ok := s.find(ref)
	if !ok {
		return image{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return img, s.pulled[img.Ref()]
}

// normalize completes a reference as a container runtime does: docker.io, library and latest where nothing is said.
func normalize(ref string) string {
	name, rest := ref, ""
	if i := strings.IndexByte(ref, '@'); i >= 0 {
		name, rest = ref[:i], ref[i:]
	}
	first, _, hasSlash := strings.Cut(name, "/")
	switch {
	case !hasSlash:
		name = "docker.io/library/" + name
	case !strings.ContainsAny(first, ".:") && first != "localhost":
		name = "docker.io/" + name
	}
	if rest == "" && !strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ":") {
		name += ":latest"
	}
	return name + rest
}

type imageService struct{ r *Runtime }

func (s *imageService) Close() error { return nil }

// ListImages lists what the node has pulled.
func (s *imageService) ListImages(_ context.Context, f *runtimeapi.ImageFilter) ([]*runtimeapi.Image, error) {
	store := s.r.images
	store.mu.Lock()
	defer store.mu.Unlock()
	var out []*runtimeapi.Image
	for ref := range store.pulled {
		if want := f.GetImage().GetImage(); want != "" && normalize(want) != ref {
			continue
		}
		out = append(out, criImage(store.catalogue[ref]))
	}
	slices.SortFunc(out, func(a, b *runtimeapi.Image) int { return strings.Compare(a.RepoTags[0], b.RepoTags[0]) })
	return out, nil
}

func criImage(i image) *runtimeapi.Image {
	return &runtimeapi.Image{
		Id: i.Digest, RepoTags: []string{i.Ref()}, RepoDigests: []string{i.Repository + "@" + i.Digest},
		Size: i.Size, Username: "", Uid: &runtimeapi.Int64Value{Value: int64(i.User)}, Spec: &runtimeapi.ImageSpec{Image: i.Ref()},
	}
}

// ImageStatus reports an image that the node has pulled; the image is nil when it has not.
func (s *imageService) ImageStatus(_ context.Context, spec *runtimeapi.ImageSpec, _ bool) (*runtimeapi.ImageStatusResponse, error) {
	img, ok := s.r.images.local(spec.GetImage())
	if !ok {
		return &runtimeapi.ImageStatusResponse{}, nil
	}
	return &runtimeapi.ImageStatusResponse{Image: criImage(img)}, nil
}

// PullImage makes an image of the catalogue local. An unknown one fails as it does when containerd asks a registry that
// answers 404.
func (s *imageService) PullImage(_ context.Context, spec *runtimeapi.ImageSpec, _ *runtimeapi.AuthConfig, _ *runtimeapi.PodSandboxConfig) (string, error) {
	store := s.r.images
	img, ok := store.find(spec.GetImage())
	if !ok {
		ref := normalize(spec.GetImage())
		return "", status.Errorf(codes.NotFound,
			"failed to pull and unpack image %q: failed to resolve reference %q: %s: not found", ref, ref, ref)
	}
	store.mu.Lock()
	defer store.mu.Unlock()
	store.pulled[img.Ref()] = true
	return img.Digest, nil
}

// RemoveImage forgets that the image was pulled.
func (s *imageService) RemoveImage(_ context.Context, spec *runtimeapi.ImageSpec) error {
	store := s.r.images
	img, ok := store.find(spec.GetImage())
	if !ok {
		return nil
	}
	store.mu.Lock()
	defer store.mu.Unlock()
	delete(store.pulled, img.Ref())
	return nil
}

// ImageFsInfo reports the space that pulled images take: each program binary counts once.
func (s *imageService) ImageFsInfo(context.Context) (*runtimeapi.ImageFsInfoResponse, error) {
	store := s.r.images
	store.mu.Lock()
	layers := map[string]uint64{}
	for ref := range store.pulled {
		layers[store.catalogue[ref].Binary] = store.catalogue[ref].Size
	}
	store.mu.Unlock()
	var used uint64
	for _, size := range layers {
		used += size
	}
	fs := &runtimeapi.FilesystemUsage{
		Timestamp: s.r.clock.Now().UnixNano(), FsId: &runtimeapi.FilesystemIdentifier{Mountpoint: s.r.cfg.Dir},
		UsedBytes: &runtimeapi.UInt64Value{Value: used}, InodesUsed: &runtimeapi.UInt64Value{Value: uint64(len(layers))},
	}
	return &runtimeapi.ImageFsInfoResponse{
		ImageFilesystems: []*runtimeapi.FilesystemUsage{fs}, ContainerFilesystems: []*runtimeapi.FilesystemUsage{fs},
	}, nil
}

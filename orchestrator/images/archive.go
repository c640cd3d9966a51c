package images

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The names of an archive's files, as the OCI image layout and docker save have them.
const (
	layoutFile   = "oci-layout"
	indexFile    = "index.json"
	manifestFile = "manifest.json"
	layout       = `{"imageLayoutVersion":"1.0.0"}`
)

// The annotations by which an archive names its images: containerd's for the whole reference, OCI's for the tag.
const (
	nameAnnotation = "io.containerd.image.name"
	tagAnnotation  = "org.opencontainers.image.ref.name"
)

// blob is where an archive has the content with a digest.
func blob(digest v1.Hash) string { return "blobs/" + digest.Algorithm + "/" + digest.Hex }

// archiver writes an archive, and in the end what is in it.
type archiver struct {
	out    *tar.Writer
	docker tarball.Manifest
	index  v1.IndexManifest
}

// archive writes the set to w.
func (s *Set) archive(w io.Writer) error {
	a := &archiver{out: tar.NewWriter(w), index: v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}}
	for l := range s.eachLayer() {
		if err := (entry{name: blob(l.digest), mode: 0o644, size: l.size, open: l.Compressed}).write(a.out); err != nil {
			return err
		}
	}
	for _, im := range s.images {
		if err := a.image(im); err != nil {
			return err
		}
	}
	return a.close()
}

// image writes what an image has besides its layers, and remembers it.
func (a *archiver) image(im *image) error {
	content, err := im.assemble(nil)
	if err != nil {
		return err
	}
	config, err := content.RawConfigFile()
	if err != nil {
		return err
	}
	manifest, err := content.RawManifest()
	if err != nil {
		return err
	}
	configAt, err := a.put(config)
	if err != nil {
		return err
	}
	digest, err := a.put(manifest)
	if err != nil {
		return err
	}
	part := tarball.Descriptor{Config: blob(configAt), RepoTags: []string{im.Ref}}
	for _, l := range im.layers {
		part.Layers = append(part.Layers, blob(l.digest))
	}
	a.docker = append(a.docker, part)
	a.index.Manifests = append(a.index.Manifests, v1.Descriptor{
		MediaType: types.OCIManifestSchema1, Digest: digest, Size: int64(len(manifest)),
		Platform:    &v1.Platform{OS: im.config.OS, Architecture: im.config.Architecture},
		Annotations: map[string]string{nameAnnotation: im.Ref, tagAnnotation: im.Variant},
	})
	return nil
}

// put writes content under its digest. No two images have the same: each says which program and variant it is.
func (a *archiver) put(content []byte) (v1.Hash, error) {
	digest, _, err := v1.SHA256(bytes.NewReader(content))
	if err != nil {
		return digest, err
	}
	return digest, text(blob(digest), string(content)).write(a.out)
}

func (a *archiver) close() error {
	docker, err := json.Marshal(a.docker)
	if err != nil {
		return err
	}
	index, err := json.Marshal(a.index)
	if err != nil {
		return err
	}
	for _, e := range []entry{text(manifestFile, string(docker)), text(indexFile, string(index)), text(layoutFile, layout)} {
		if err := e.write(a.out); err != nil {
			return err
		}
	}
	return a.out.Close()
}

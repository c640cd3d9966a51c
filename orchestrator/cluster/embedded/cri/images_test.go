package cri

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestImages(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	s := f.ImageService()
	ref := &runtimeapi.ImageSpec{Image: "registry.local/test/app:2.0"}
	st, err := s.ImageStatus(ctx, ref, false)
	require.NoError(t, err)
	require.Nil(t, st.Image, "nothing is on the node before it is pulled")
	id, err := s.PullImage(ctx, ref, nil, nil)
	require.NoError(t, err)
	require.Regexp(t, `^sha256:[0-9a-f]{64}$`, id)
	st, err = s.ImageStatus(ctx, &runtimeapi.ImageSpec{Image: id}, false)
	require.NoError(t, err)
	require.Equal(t, []string{"registry.local/test/app:2.0"}, st.Image.RepoTags)
	require.Positive(t, st.Image.Size)
	other, err := s.PullImage(ctx, &runtimeapi.ImageSpec{Image: "registry.local/test/app:1.0"}, nil, nil)
	require.NoError(t, err)
	require.NotEqual(t, id, other)
	list, err := s.ListImages(ctx, nil)
	require.NoError(t, err)
	require.Len(t, list, 2)
	fs, err := s.ImageFsInfo(ctx)
	require.NoError(t, err)
	require.Equal(t, st.Image.Size, fs.ImageFilesystems[0].UsedBytes.Value, "both tags share one binary")
	require.NoError(t, s.RemoveImage(ctx, ref))
	st, err = s.ImageStatus(ctx, ref, false)
	require.NoError(t, err)
	require.Nil(t, st.Image)
}

func TestUnknownImage(t *testing.T) {
	f := newFixture(t)
	for ref, full := range map[string]string{
		"registry.local/test/app:9.9": "registry.local/test/app:9.9",
		"registry.local/nosuch":       "registry.local/nosuch:latest",
		"nginx":                       "docker.io/library/nginx:latest",
		"bitnami/redis:7":             "docker.io/bitnami/redis:7",
	} {
		_, err := f.ImageService().PullImage(context.Background(), &runtimeapi.ImageSpec{Image: ref}, nil, nil)
		require.Equal(t, codes.NotFound, status.Code(err))
		require.Equal(t, `rpc error: code = NotFound desc = failed to pull and unpack image "`+full+
			`": failed to resolve reference "`+full+`": `+full+`: not found`, err.Error())
	}
}

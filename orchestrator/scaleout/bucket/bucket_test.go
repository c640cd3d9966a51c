package bucket_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/bucket"
)

// object is what the service keeps.
type object struct {
	data   []byte
	header http.Header
}

// service is as much of S3 as is used: objects of one bucket, in the path style, listed two at a time.
type service struct {
	mu      sync.Mutex
	objects map[string]object
	// status, unless it is 0, is the answer to everything.
	status int
	// denied is what is not allowed: put, get, delete or list.
	denied string
}

const pageSize = 2

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, here := strings.CutPrefix(r.URL.Path, "/results/")
	switch {
	case s.status != 0:
		w.WriteHeader(s.status)
	case !strings.Contains(r.Header.Get("Authorization"), "Credential=me/"):
		s.fail(w, http.StatusForbidden, "InvalidAccessKeyId")
	case !here && r.URL.Path != "/results":
		s.fail(w, http.StatusNotFound, "NoSuchBucket")
	case s.denied != "" && s.denied == right(r, key):
		s.fail(w, http.StatusForbidden, "AccessDenied")
	case key == "":
		s.list(w, r)
	case r.Method == http.MethodPut:
		data, err := io.ReadAll(r.Body)
		if err != nil {
			s.fail(w, http.StatusBadRequest, "IncompleteBody")
			return
		}
		kept := http.Header{"Etag": {`"x"`}, "Last-Modified": {"Fri, 02 Jan 2026 03:04:05 GMT"}}
		for name, values := range r.Header {
			if strings.HasPrefix(name, "X-Amz-Meta-") {
				kept[name] = values
			}
		}
		s.objects[key] = object{data, kept}
		w.Header().Set("ETag", `"x"`)
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		o, ok := s.objects[key]
		if !ok {
			s.fail(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		maps.Copy(w.Header(), o.header)
		w.Header().Set("Content-Length", strconv.Itoa(len(o.data)))
		_, _ = w.Write(o.data)
	}
}

// right is the right that a request takes.
func right(r *http.Request, key string) string {
	switch {
	case key == "":
		return "list"
	case r.Method == http.MethodHead:
		return "get"
	}
	return strings.ToLower(r.Method)
}

// put changes an object behind the client's back.
func (s *service) put(key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[key]
	o.data = data
	s.objects[key] = o
}

func (s *service) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.objects)
}

func (s *service) fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{Code: code, Message: code})
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	type content struct {
		Key          string
		LastModified string
		ETag         string
		Size         int
	}
	type answer struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Name                  string
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []content
	}
	query := r.URL.Query()
	out := answer{Name: "results"}
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if !strings.HasPrefix(key, query.Get("prefix")) || key <= query.Get("continuation-token") {
			continue
		}
		if len(out.Contents) == pageSize {
			out.IsTruncated, out.NextContinuationToken = true, out.Contents[pageSize-1].Key
			break
		}
		out.Contents = append(out.Contents, content{key, "2026-01-02T03:04:05.000Z", `"x"`, len(s.objects[key].data)})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(out)
}

// open returns a service and what opens it.
func open(t *testing.T) (*service, bucket.Options) {
	t.Helper()
	s := &service{objects: map[string]object{}}
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	return s, bucket.Options{
		Endpoint: server.URL, Bucket: "results", Prefix: "team/gameday", Region: "here", AccessKey: "me", SecretKey: "secret",
		Transport: server.Client().Transport,
	}
}

func TestObjects(t *testing.T) {
	t.Parallel()
	s, o := open(t)
	b, err := bucket.Open(o)
	require.NoError(t, err)
	require.NoError(t, b.Check(t.Context()))
	require.Zero(t, s.count(), "a check leaves nothing")
	_, err = b.Get(t.Context(), "plan.json")
	require.ErrorIs(t, err, fs.ErrNotExist)

	big := bytes.Repeat([]byte("0123456789abcdef"), 2<<16)
	for key, data := range map[string][]byte{"tries/1/a": []byte("x"), "tries/0/a": big, "tries/0/b": []byte("y"), "plan.json": []byte("{}")} {
		require.NoError(t, b.Put(t.Context(), key, data))
	}
	s.put("team/other", nil)
	got, err := b.Get(t.Context(), "tries/0/a")
	require.NoError(t, err)
	require.True(t, bytes.Equal(big, got))
	keys, err := b.List(t.Context(), "tries/")
	require.NoError(t, err)
	require.Equal(t, []string{"tries/0/a", "tries/0/b", "tries/1/a"}, keys)
	keys, err = b.List(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, keys, 4, "what is beside the prefix is not ours")
	require.NoError(t, b.Delete(t.Context(), "tries/0/a"))
	require.NoError(t, b.Delete(t.Context(), "tries/0/a"), "idempotent")
	require.ErrorIs(t, b.Put(t.Context(), "../a", nil), blob.ErrRefused)

	s.put("team/gameday/tries/0/b", []byte("z"))
	_, err = b.Get(t.Context(), "tries/0/b")
	require.ErrorIs(t, err, blob.ErrCorrupt)
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bucket.Options){
		"credentials": func(o *bucket.Options) { o.AccessKey = "you" },
		"bucket":      func(o *bucket.Options) { o.Bucket = "elsewhere" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, o := open(t)
			change(&o)
			b, err := bucket.Open(o)
			require.NoError(t, err)
			err = b.Check(t.Context())
			require.ErrorIs(t, err, blob.ErrRefused)
			require.Equal(t, errs.Infra, errs.PartyOf(err))
			require.Contains(t, errs.HintOf(err), "credentials")
			_, err = b.List(t.Context(), "")
			require.ErrorIs(t, err, blob.ErrRefused)
		})
	}
}

func TestCheckFindsWhichRightIsMissing(t *testing.T) {
	t.Parallel()
	for denied, want := range map[string]string{"put": "put check/", "get": "get check/", "list": "list check/", "delete": "delete check/"} {
		t.Run(denied, func(t *testing.T) {
			t.Parallel()
			s, o := open(t)
			s.denied = denied
			b, err := bucket.Open(o)
			require.NoError(t, err)
			err = b.Check(t.Context())
			require.ErrorIs(t, err, blob.ErrRefused)
			require.ErrorContains(t, err, want)
			require.Equal(t, errs.Infra, errs.PartyOf(err))
			if denied != "delete" {
				require.Zero(t, s.count(), "nothing is left where it can be removed")
			}
		})
	}
}

func TestWhatMayPass(t *testing.T) {
	t.Parallel()
	s, o := open(t)
	s.status = http.StatusBadRequest
	b, err := bucket.Open(o)
	require.NoError(t, err)
	err = b.Put(t.Context(), "a", nil)
	require.Error(t, err)
	require.False(t, blob.Final(err))
}

func TestParse(t *testing.T) {
	t.Parallel()
	env := map[string]string{"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-central-1"}
	lookup := func(name string) (string, bool) { value, ok := env[name]; return value, ok }
	o, err := bucket.Parse("s3://results/team/gameday/", lookup)
	require.NoError(t, err)
	require.Equal(t, bucket.Options{
		Endpoint: "https://s3.amazonaws.com", Bucket: "results", Prefix: "team/gameday", Region: "eu-central-1", AccessKey: "me", SecretKey: "secret",
	}, o)
	o, err = bucket.Parse("s3://results", lookup)
	require.NoError(t, err)
	require.Empty(t, o.Prefix)
	for _, bad := range []string{"s3://", "s3:results", "http://results/a", "s3://results/../a", "s3://results/a?b=c", "s3://me@results/a"} {
		_, err := bucket.Parse(bad, lookup)
		require.Equal(t, errs.Usage, errs.PartyOf(err), bad)
		require.NotEmpty(t, errs.HintOf(err), bad)
	}
	env = nil
	_, err = bucket.Parse("s3://results", lookup)
	require.ErrorContains(t, err, "no credentials")
	require.Contains(t, errs.HintOf(err), "AWS_ACCESS_KEY_ID")
	for _, bad := range []string{"", "minio:9000", "ftp://minio", "https://minio/path"} {
		_, err := bucket.Open(bucket.Options{Endpoint: bad, Bucket: "results"})
		require.Equal(t, errs.Usage, errs.PartyOf(err), bad)
	}
}

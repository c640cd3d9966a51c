// Package bucket keeps the objects of a run in an S3-compatible bucket.
package bucket

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/random"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
)

// digestKey is the user metadata that holds an object's digest.
const digestKey = "Gameday-Digest"

// amazon is the endpoint where none is named.
const amazon = "https://s3.amazonaws.com"

// retries is how often the client library sends a request; who needs more patience has it around the whole call.
const retries = 3

// Options say which bucket and with whose rights. They hold a secret.
type Options struct {
	// Endpoint is the URL of the service, without a path.
	Endpoint string `json:"endpoint"`
	Bucket   string `json:"bucket"`
	// Prefix is before every key, without slashes at its ends; empty for none.
	Prefix string `json:"prefix,omitempty"`
	// Region is asked for where it is empty.
	Region       string `json:"region,omitempty"`
	AccessKey    string `json:"accessKey"`
	SecretKey    string `json:"secretKey"`
	SessionToken string `json:"sessionToken,omitempty"`
	// Transport carries the requests; nil means the client library's own.
	Transport http.RoundTripper `json:"-"`
}

// Parse reads s3://BUCKET/PREFIX, and the rest from the variables that Amazon's tools use: AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL. What is wrong is
// of party usage.
func Parse(text string, lookupEnv func(string) (string, bool)) (Options, error) {
	env := func(names ...string) string {
		for _, name := range names {
			if value, ok := lookupEnv(name); ok && value != "" {
				return value
			}
		}
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return Options{}, errs.Hint(errs.Newf(errs.Usage, "invalid bucket %q", text), "write it as s3://BUCKET/PREFIX")
	}
	o := Options{
		Endpoint: cmp.Or(env("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), amazon), Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"),
		Region: env("AWS_REGION", "AWS_DEFAULT_REGION"), AccessKey: env("AWS_ACCESS_KEY_ID"), SecretKey: env("AWS_SECRET_ACCESS_KEY"),
		SessionToken: env("AWS_SESSION_TOKEN"),
	}
	if o.Prefix != "" {
		if err := blob.CheckKey(o.Prefix); err != nil {
			return Options{}, errs.Hint(errs.Newf(errs.Usage, "invalid bucket %q: the prefix", text), "use letters, digits, dots, dashes, underscores and slashes")
		}
	}
	if o.AccessKey == "" || o.SecretKey == "" {
		return Options{}, errs.Hint(errs.Newf(errs.Usage, "use bucket %s: no credentials", text),
			"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for example with: eval \"$(aws configure export-credentials --format env)\"")
	}
	return o, nil
}

// Bucket implements blob.Store.
type Bucket struct {
	client         *minio.Client
	bucket, prefix string
}

var _ blob.Store = (*Bucket)(nil)

// Open makes the client of a bucket; it sends nothing. An endpoint that is none is an error of party usage.
func Open(o Options) (*Bucket, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, errs.Hint(errs.Newf(errs.Usage, "invalid endpoint %q of the bucket", o.Endpoint), "want a URL such as https://minio.example.org:9000 in AWS_ENDPOINT_URL_S3")
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken), Secure: u.Scheme == "https", Region: o.Region,
		Transport: o.Transport, MaxRetries: retries,
	})
	if err != nil {
		return nil, errs.With(errs.Usage, fmt.Errorf("open bucket %s: %w", o.Bucket, err))
	}
	return &Bucket{client: client, bucket: o.Bucket, prefix: o.Prefix}, nil
}

// Check stores, finds, reads and removes an object, so that a bucket that is missing, and rights that are, show before anything depends
// on them. Errors are of party infra.
func (b *Bucket) Check(ctx context.Context) error {
	key := checkPrefix + random.Hex(8) // Two may look at the same time.
	if err := errors.Join(b.tryOut(ctx, key), b.Delete(ctx, key)); err != nil {
		return errs.Hint(errs.With(errs.Infra, fmt.Errorf("use bucket %s at %s: %w", b.bucket, b.client.EndpointURL().Host, err)),
			"see that the bucket exists, and that the credentials may list, read, write and delete there")
	}
	return nil
}

// checkPrefix is what the keys of Check begin with.
const checkPrefix = "check/"

func (b *Bucket) tryOut(ctx context.Context, key string) error {
	data := []byte("gameday\n")
	if err := b.Put(ctx, key, data); err != nil {
		return err
	}
	keys, err := b.List(ctx, checkPrefix)
	if err != nil {
		return err
	}
	if !slices.Contains(keys, key) {
		return fmt.Errorf("list %s: %s was stored and is not there", checkPrefix, key)
	}
	got, err := b.Get(ctx, key)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, data) {
		return fmt.Errorf("get %s: it is not what was stored", key)
	}
	return nil
}

func (b *Bucket) name(key string) string { return path.Join(b.prefix, key) }

// Put implements blob.Store. An object is sent in one piece: there are no parts that could be left behind.
func (b *Bucket) Put(ctx context.Context, key string, data []byte) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	_, err := b.client.PutObject(ctx, b.bucket, b.name(key), bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{
		ContentType: "application/octet-stream", UserMetadata: map[string]string{digestKey: blob.Digest(data)}, DisableMultipart: true,
		SendContentMd5: true,
	})
	if err != nil {
		return fmt.Errorf("put %s: %w", key, classify(err))
	}
	return nil
}

// Get implements blob.Store.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, error) {
	if err := blob.CheckKey(key); err != nil {
		return nil, err
	}
	object, err := b.client.GetObject(ctx, b.bucket, b.name(key), minio.GetObjectOptions{})
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, classify(err))
	}
	defer object.Close()
	info, err := object.Stat()
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, classify(err))
	}
	data, err := io.ReadAll(io.LimitReader(object, blob.MaxSize))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, classify(err))
	}
	digest := ""
	for name, value := range info.UserMetadata {
		if strings.EqualFold(name, digestKey) {
			digest = value
		}
	}
	return data, blob.Verify(key, data, digest)
}

// List implements blob.Store.
func (b *Bucket) List(ctx context.Context, prefix string) ([]string, error) {
	// An iteration that is given up must end, too.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	full := prefix
	if b.prefix != "" {
		full = b.prefix + "/" + prefix
	}
	var keys []string
	for info := range b.client.ListObjects(ctx, b.bucket, minio.ListObjectsOptions{Prefix: full, Recursive: true}) {
		if info.Err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, classify(info.Err))
		}
		key := info.Key
		if b.prefix != "" {
			key = strings.TrimPrefix(key, b.prefix+"/")
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys, nil
}

// Delete removes what is stored under key. A key without an object is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	err := classify(b.client.RemoveObject(ctx, b.bucket, b.name(key), minio.RemoveObjectOptions{}))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// classify says what a failure means. A nil err stays nil.
func classify(err error) error {
	if err == nil {
		return nil
	}
	answer := minio.ToErrorResponse(err)
	switch {
	case answer.Code == "NoSuchKey":
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case answer.Code == "NoSuchBucket", answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%w: %w", blob.ErrRefused, err)
	}
	return err
}

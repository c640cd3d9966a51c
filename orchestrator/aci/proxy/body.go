package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// maxBody bounds what is read of a write: the API server's own limit is 3 MiB.
const maxBody = 4 << 20

// errContentType is what a body is refused with that the filter cannot read. Clients fall back from CBOR by themselves.
var errContentType = errors.New("unsupported content type")

// toJSON turns a protobuf or YAML body into JSON, which is what the filter reads. Typed clients send protobuf.
func toJSON(r *http.Request) error {
	contentType := r.Header.Get("Content-Type")
	var convert func([]byte) ([]byte, error)
	switch {
	case strings.Contains(contentType, "cbor"):
		return fmt.Errorf("%w: %s", errContentType, contentType)
	case strings.HasPrefix(contentType, runtime.ContentTypeProtobuf):
		convert = protobufToJSON
	case strings.HasPrefix(contentType, "application/yaml"):
		convert = yaml.YAMLToJSON
	default:
		return nil
	}
	body, err := readBody(r)
	if err != nil || len(body) == 0 {
		return err
	}
	out, err := convert(body)
	if err != nil {
		return err
	}
	setBody(r, out)
	r.Header.Set("Content-Type", runtime.ContentTypeJSON)
	return nil
}

func protobufToJSON(body []byte) ([]byte, error) {
	obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{})
	if err := encoder.Encode(obj, &out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(r.Body, maxBody))
}

// readJSON reads the request's body, if it is a JSON object, and leaves it to be read again.
func readJSON(r *http.Request) (map[string]any, bool) {
	body, err := readBody(r)
	if err != nil || body == nil {
		return nil, false
	}
	setBody(r, body)
	doc, err := decode(body)
	return doc, err == nil
}

func setBody(r *http.Request, body []byte) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
}

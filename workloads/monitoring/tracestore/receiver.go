package tracestore

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // Exporters may compress.
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// maxRequest is the largest export that is taken, in bytes after decompression.
const maxRequest = 16 << 20

// rawCodec hands messages over as they are on the wire.
type rawCodec struct{}

// Name is that of the codec it stands in for.
func (rawCodec) Name() string { return "proto" }

// Marshal gives the bytes of a raw message.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("marshal %T: want raw bytes", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*b)}, nil
}

// Unmarshal fills a raw message.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("unmarshal %T: want raw bytes", v)
	}
	*b = data.Materialize()
	return nil
}

// newGRPC returns a server of the OTLP trace service that fills store.
func newGRPC(store *Store) *grpc.Server {
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(rawCodec{}), grpc.MaxRecvMsgSize(maxRequest),
		grpc.ReadBufferSize(16<<10), grpc.WriteBufferSize(4<<10),
	)
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "opentelemetry.proto.collector.trace.v1.TraceService",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Export", Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var request []byte
			if err := decode(&request); err != nil {
				return nil, err
			}
			if err := store.Export(request); err != nil {
				return nil, status.Error(codes.InvalidArgument, err.Error())
			}
			return &[]byte{}, nil
		}}},
	}, struct{}{})
	return server
}

// Export stores the spans of one encoded ExportTraceServiceRequest.
func (s *Store) Export(request []byte) error {
	e := export{store: s}
	return e.add(request)
}

// otlpHandler serves OTLP over HTTP: POST /v1/traces with a protobuf body.
func otlpHandler(store *Store) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) {
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-protobuf" {
			http.Error(w, "want Content-Type application/x-protobuf", http.StatusUnsupportedMediaType)
			return
		}
		body, err := readBody(w, r)
		if err == nil {
			err = store.Export(body)
		}
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
		default:
			// An empty ExportTraceServiceResponse has no bytes.
			w.Header().Set("Content-Type", "application/x-protobuf")
		}
	})
	return mux
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body := http.MaxBytesReader(w, r.Body, maxRequest)
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(body)
	}
	z, err := gzip.NewReader(body)
	if err != nil {
		return nil, fmt.Errorf("read gzip: %w", err)
	}
	return io.ReadAll(http.MaxBytesReader(w, z, maxRequest))
}

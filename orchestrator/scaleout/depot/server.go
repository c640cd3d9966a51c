// Package depot keeps the objects of a run on a volume: a small HTTP server that owns the volume, and its client. It is what lets
// pods on many nodes write to a volume that can be mounted on one.
package depot

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
)

// The headers of the protocol. The token has one of its own, because the API server, through which the depot is reached from
// outside of the cluster, keeps Authorization for itself.
const (
	tokenHeader  = "Gameday-Token"
	digestHeader = "Gameday-Digest"
	// markHeader is in every answer of a depot: one without it is from something in between.
	markHeader = "Gameday-Depot"
)

// The paths of the protocol.
const (
	objectsPath = "/objects/"
	keysPath    = "/keys"
	// HealthPath answers 200 to anybody while the depot serves.
	HealthPath = "/healthz"
)

// The directories below that of a server: objects, and what is on its way to become one.
const (
	objectsDir  = "objects"
	incomingDir = "incoming"
)

// Server serves the objects of one directory. Its fields are set once, before the first request.
type Server struct {
	// Dir is the directory, which exists and which no other server uses.
	Dir string
	// Token is what a request must carry; it is not empty.
	Token string
	// Log takes what is worth telling; nil discards it.
	Log *slog.Logger
}

// Handler returns the server as a handler.
//
//	PUT    /objects/KEY     stores the body; its digest is in the header Gameday-Digest
//	GET    /objects/KEY     returns it, with the digest
//	GET    /keys?prefix=P   returns the keys as a JSON list
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT "+objectsPath+"{key...}", s.authorized(s.put))
	mux.HandleFunc("GET "+objectsPath+"{key...}", s.authorized(s.get))
	mux.HandleFunc("GET "+keysPath, s.authorized(s.list))
	mux.HandleFunc("GET "+HealthPath, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(markHeader, "1")
		mux.ServeHTTP(w, r)
	})
}

// Serve serves over TLS on address until ctx ends, and lets requests under way end.
func (s *Server) Serve(ctx context.Context, address string, certificate tls.Certificate) error {
	// What was on its way to a server that was killed is sent again, and would take up the volume for good.
	if err := os.RemoveAll(filepath.Join(s.Dir, incomingDir)); err != nil {
		return errs.With(errs.Infra, fmt.Errorf("serve depot: %w", err))
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return errs.With(errs.Infra, fmt.Errorf("serve depot: %w", err))
	}
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13},
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(listener, "", "") }()
	select {
	case err := <-ended:
		return errs.With(errs.Infra, fmt.Errorf("serve depot: %w", err))
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return fmt.Errorf("stop depot: %w", err)
	}
	return nil
}

func (s *Server) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Get(tokenHeader)
		if s.Token == "" || subtle.ConstantTimeCompare([]byte(given), []byte(s.Token)) != 1 {
			http.Error(w, "the token is wrong", http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

// file is where an object is kept, or "" for a key that is none; then the answer is written.
func (s *Server) file(w http.ResponseWriter, r *http.Request) string {
	key := r.PathValue("key")
	if err := blob.CheckKey(key); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return ""
	}
	return filepath.Join(s.Dir, objectsDir, filepath.FromSlash(key))
}

func (s *Server) put(w http.ResponseWriter, r *http.Request) {
	file := s.file(w, r)
	if file == "" {
		return
	}
	err := s.store(file, r.Header.Get(digestHeader), http.MaxBytesReader(w, r.Body, blob.MaxSize))
	switch {
	case errors.Is(err, blob.ErrCorrupt):
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	case errors.Is(err, syscall.ENOSPC):
		s.failed(w, err, http.StatusInsufficientStorage)
	case err != nil:
		s.failed(w, err, http.StatusInternalServerError)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// store writes an object under a name that no reader looks for, and renames it when it is whole and on the disk. The first line of
// the file is the digest: so both come and go at once.
func (s *Server) store(file, digest string, content io.Reader) (err error) {
	incoming := filepath.Join(s.Dir, incomingDir)
	if err := errors.Join(os.MkdirAll(incoming, 0o700), os.MkdirAll(filepath.Dir(file), 0o700)); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(incoming, "*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
		}
	}()
	hash := sha256.New()
	if _, err = io.WriteString(tmp, digest+"\n"); err != nil {
		return err
	}
	if _, err = io.Copy(io.MultiWriter(tmp, hash), content); err != nil {
		return err
	}
	if is := "sha256:" + hex.EncodeToString(hash.Sum(nil)); is != digest {
		return fmt.Errorf("%w: it is %s, want %q", blob.ErrCorrupt, is, digest)
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), file); err != nil {
		return err
	}
	return errors.Join(syncDir(filepath.Dir(file)), tmp.Close())
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	file := s.file(w, r)
	if file == "" {
		return
	}
	f, err := os.Open(file)
	if isMissing(err) {
		http.Error(w, "no such object", http.StatusNotFound)
		return
	}
	if err != nil {
		s.failed(w, err, http.StatusInternalServerError)
		return
	}
	defer f.Close()
	content := bufio.NewReader(f)
	digest, err := content.ReadString('\n')
	if err != nil {
		s.failed(w, fmt.Errorf("read digest: %w", err), http.StatusInternalServerError)
		return
	}
	info, err := f.Stat()
	if err != nil {
		s.failed(w, err, http.StatusInternalServerError)
		return
	}
	w.Header().Set(digestHeader, strings.TrimSuffix(digest, "\n"))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(info.Size()-int64(len(digest)), 10))
	if _, err := io.Copy(w, content); err != nil {
		s.log().Warn("an object was not sent to its end", "key", r.PathValue("key"), "error", err)
		// The answer has to be seen to be cut off: half an object that ends in order looks like one that is damaged for good.
		panic(http.ErrAbortHandler)
	}
}

// isMissing is true where no object can be: a directory of keys is none either.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	prefix, root := r.URL.Query().Get("prefix"), filepath.Join(s.Dir, objectsDir)
	keys := []string{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // Nothing was stored yet, or it was removed while we look.
		}
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if key := filepath.ToSlash(rel); err == nil && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
		return err
	})
	if err != nil {
		s.failed(w, err, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(keys); err != nil {
		s.log().Warn("a list was not sent to its end", "error", err)
	}
}

func (s *Server) failed(w http.ResponseWriter, err error, status int) {
	s.log().Error("request failed", "error", err)
	http.Error(w, err.Error(), status)
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

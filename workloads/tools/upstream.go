package tools

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/tools/agnhost"
)

// upstream are the images that Kubernetes' own tests use, under the references of release 1.35.
func upstream() []program.Image {
	const registry = "registry.k8s.io/e2e-test-images/"
	shell, port80 := []string{"sh"}, []string{"80/tcp"}
	return append(agnhost.Images(),
		program.Image{Repository: "registry.k8s.io/pause", Tags: []string{"3.10.1"}, User: 65535, Name: "upstream/pause", Program: Pause},
		program.Image{Repository: registry + "busybox", Tags: []string{"1.37.0-1"}, Cmd: shell, Program: sh, Commands: map[string]program.Func{"hexdump": hexdump}},
		program.Image{Repository: registry + "jessie-dnsutils", Tags: []string{"1.7"}, Cmd: shell, Program: sh},
		program.Image{Repository: registry + "nginx", Tags: []string{"1.14-4", "1.15-4"}, Program: webserver, Ports: port80},
		program.Image{Repository: registry + "nonewprivs", Tags: []string{"1.3"}, Program: effectiveUser},
		program.Image{Repository: registry + "nautilus", Tags: []string{"1.7"}, Program: picture, Ports: port80},
		program.Image{Repository: registry + "kitten", Tags: []string{"1.7"}, Program: picture, Ports: port80},
	)
}

// documents is where nginx's image keeps what it serves.
const documents = "/usr/share/nginx/html"

// webserver serves nginx's documents at port 80: the image's page, or what a volume in their place has.
func webserver(ctx context.Context, sys *program.Sys) error {
	if _, err := sys.Files.Stat(documents); errors.Is(err, fs.ErrNotExist) {
		if err := sys.Files.MkdirAll(documents, 0o755); err != nil {
			return fmt.Errorf("make document root: %w", err)
		}
		page := []byte("<!DOCTYPE html>\n<html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>\n")
		if err := program.WriteFile(sys.Files, documents+"/index.html", page, 0o644); err != nil {
			return fmt.Errorf("write index page: %w", err)
		}
	}
	files := http.FileServerFS(below{sys.Files, documents})
	return serve(ctx, sys, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "nginx/"+strings.TrimSuffix(sys.Variant, "-4"))
		// Not the standard library's redirect of /index.html to /: nginx answers both.
		if r.URL.Path == "/index.html" {
			r.URL.Path = "/"
		}
		files.ServeHTTP(w, r)
		fmt.Fprintf(sys.Stdout, "%s - - \"%s %s %s\"\n", r.RemoteAddr, r.Method, r.URL.Path, r.Proto)
	}))
}

// effectiveUser says as whom it runs. Upstream's has the set-user-ID bit, which has no effect here: no program gets more rights
// than its container's user has, whatever allowPrivilegeEscalation says.
func effectiveUser(_ context.Context, sys *program.Sys) error {
	fmt.Fprintf(sys.Stdout, "Effective uid: %d\n", sys.User.UID)
	return nil
}

// picture serves the file that tells which of the two builds of a demonstration is running.
func picture(ctx context.Context, sys *program.Sys) error {
	_, name, _ := strings.Cut(sys.Image.Name, "/")
	mux := http.NewServeMux()
	mux.HandleFunc("/data.json", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "{\n  \"image\": \"%s.jpg\"\n}\n", name)
	})
	return serve(ctx, sys, mux)
}

func serve(ctx context.Context, sys *program.Sys, h http.Handler) error {
	l, err := sys.Net.Listen(ctx, "tcp", net.JoinHostPort("", "80"))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: h}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// below is a directory of the container as an fs.FS.
type below struct {
	files program.Files
	dir   string
}

func (b below) Open(name string) (fs.File, error) { return b.files.Open(b.dir + "/" + name) }

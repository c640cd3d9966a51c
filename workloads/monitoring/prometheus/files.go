package prometheus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/monitoring/kubeclient"
	"github.com/gameday-bench/gameday/workloads/program"
)

// expand returns the files that pattern names, sorted. As in Prometheus, wildcards stand in the last element only.
func expand(files program.FileReader, pattern string) ([]string, error) {
	dir, last := path.Split(pattern)
	if !strings.ContainsAny(last, "*?[") {
		return []string{pattern}, nil
	}
	entries, err := files.ReadDir(path.Clean(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list rule files: %w", err)
	}
	var out []string
	for _, e := range entries {
		ok, err := path.Match(last, e.Name())
		if err != nil {
			return nil, fmt.Errorf("match rule files %q: %w", pattern, err)
		}
		if ok && !e.IsDir() {
			out = append(out, dir+e.Name())
		}
	}
	slices.Sort(out)
	return out, nil
}

// hostDir makes the directory dir and returns its path on the host, for libraries that know only the host's files.
func hostDir(files program.Files, dir string) (string, error) {
	if err := files.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make directory: %w", err)
	}
	f, err := files.Open(dir)
	if err != nil {
		return "", fmt.Errorf("open directory: %w", err)
	}
	defer f.Close()
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return "", fmt.Errorf("find directory %s: %w", dir, err)
	}
	return path, nil
}

// ruleLoader reads rule files from the container's files.
type ruleLoader struct {
	files  program.FileReader
	parser parser.Parser
}

var _ rules.GroupLoader = ruleLoader{}

// Load reads and checks one rule file.
func (l ruleLoader) Load(name string, ignoreUnknown bool, scheme model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	data, err := program.ReadFile(l.files, name)
	if err != nil {
		return nil, []error{err}
	}
	groups, errs := rulefmt.Parse(data, ignoreUnknown, scheme, l.parser)
	for i := range errs {
		errs[i] = fmt.Errorf("%s: %w", name, errs[i])
	}
	return groups, errs
}

// Parse reads one expression.
func (l ruleLoader) Parse(query string) (parser.Expr, error) { return l.parser.ParseExpr(query) }

// secrets gives the content of files of the container to Prometheus's HTTP clients: a reference is a container path.
type secrets struct {
	files program.FileReader
	clock clock.PassiveClock

	mu     sync.Mutex
	tokens map[string]*kubeclient.FileToken
}

var _ commonconfig.SecretManager = (*secrets)(nil)

// Fetch returns the content of the file that ref names.
func (s *secrets) Fetch(_ context.Context, ref string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[ref]
	if t == nil {
		t = kubeclient.NewFileToken(s.files, s.clock, ref)
		s.tokens[ref] = t
	}
	return t.Token()
}

// useSecrets turns what c reads from files into references to the same files, which secrets resolves in the container. What can only
// be read from the host's files is refused.
func useSecrets(c *commonconfig.HTTPClientConfig) error {
	if c.OAuth2 != nil {
		return errors.New("oauth2 is not supported")
	}
	if c.HTTPHeaders != nil {
		for name, header := range c.HTTPHeaders.Headers {
			if len(header.Files) > 0 {
				return fmt.Errorf("http_headers: files of header %s are not supported (allowed: values, secrets)", name)
			}
		}
	}
	move := func(file, ref *string) {
		if *file != "" {
			*ref, *file = *file, ""
		}
	}
	if a := c.Authorization; a != nil {
		move(&a.CredentialsFile, &a.CredentialsRef)
	}
	if b := c.BasicAuth; b != nil {
		move(&b.PasswordFile, &b.PasswordRef)
		move(&b.UsernameFile, &b.UsernameRef)
	}
	move(&c.TLSConfig.CAFile, &c.TLSConfig.CARef)
	move(&c.TLSConfig.CertFile, &c.TLSConfig.CertRef)
	move(&c.TLSConfig.KeyFile, &c.TLSConfig.KeyRef)
	return nil
}

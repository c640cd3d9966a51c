package prometheus

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"

	"github.com/gameday-bench/gameday/workloads/program"
)

// reloader applies the configuration and its rule files whenever they change. Its methods are safe for concurrent use.
type reloader struct {
	server  *server
	success prometheus.Gauge
	at      prometheus.Gauge

	applying sync.Mutex
	mu       sync.Mutex
	digest   [sha256.Size]byte
	written  *config.Config
	ok       bool
	when     time.Time
}

func newReloader(s *server) *reloader {
	r := &reloader{
		server: s,
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "prometheus_config_last_reload_successful", Help: "Whether the last configuration reload attempt was successful.",
		}),
		at: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "prometheus_config_last_reload_success_timestamp_seconds", Help: "Timestamp of the last successful configuration reload.",
		}),
	}
	s.registry.MustRegister(r.success, r.at)
	return r
}

// Run applies changes until ctx ends: it compares the files every 2 s, and at once on SIGHUP.
func (r *reloader) Run(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	tick := r.server.sys.Clock.NewTicker(reloadPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		case <-tick.C():
			if r.unchanged() {
				continue
			}
		}
		if err := r.Apply(); err != nil {
			r.server.logger.Error("Error reloading config", "err", err)
		}
	}
}

// Apply reads the files and makes the running parts follow them. On error the former configuration stays in force, and a
// configuration that has failed is not tried again before it changes.
func (r *reloader) Apply() error {
	r.applying.Lock()
	defer r.applying.Unlock()
	// What is compared from now on is what was there before it was read: a change in between is seen as one.
	data, err := program.ReadFile(r.server.sys.Files, r.server.opts.ConfigFile)
	digest := r.digestOf(data, r.knownRuleFiles())
	if err != nil {
		err = fmt.Errorf("read configuration: %w", err)
	} else {
		digest, err = r.apply(data, digest)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.digest, r.ok = digest, err == nil
	if err != nil {
		r.success.Set(0)
		return err
	}
	r.when = r.server.sys.Clock.Now()
	r.success.Set(1)
	r.at.Set(float64(r.when.Unix()))
	return nil
}

// apply makes the running parts follow data. It returns the digest of data with its rule files, or else failed.
func (r *reloader) apply(data []byte, failed [sha256.Size]byte) ([sha256.Size]byte, error) {
	s := r.server
	written, running, err := s.loadConfig(data)
	if err != nil {
		return failed, err
	}
	files, err := r.ruleFiles(running)
	if err != nil {
		return failed, err
	}
	digest := r.digestOf(data, files)
	// The rule manager says only that loading failed.
	loader := ruleLoader{s.sys.Files, s.parser}
	for _, name := range files {
		if _, errs := loader.Load(name, false, running.GlobalConfig.MetricNameValidationScheme); len(errs) > 0 {
			return failed, fmt.Errorf("load rules: %w", errors.Join(errs...))
		}
	}
	sds := map[string]discovery.Configs{}
	for _, sc := range running.ScrapeConfigs {
		sds[sc.JobName] = sc.ServiceDiscoveryConfigs
	}
	if err := errors.Join(
		s.scrape.ApplyConfig(running),
		s.discovery.ApplyConfig(sds),
		s.rules.Update(time.Duration(running.GlobalConfig.EvaluationInterval), files, running.GlobalConfig.ExternalLabels, s.externalURL().String(), nil),
	); err != nil {
		return failed, fmt.Errorf("apply configuration: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written = written
	s.logger.Info("Completed loading of configuration file", "filename", s.opts.ConfigFile, "ruleFiles", len(files))
	return digest, nil
}

// ruleFiles returns the rule files that c names; relative names start at the configuration file's directory.
func (r *reloader) ruleFiles(c *config.Config) ([]string, error) {
	var out []string
	for _, p := range c.RuleFiles {
		if !path.IsAbs(p) {
			p = path.Join(path.Dir(r.server.opts.ConfigFile), p)
		}
		files, err := expand(r.server.sys.Files, p)
		if err != nil {
			return nil, err
		}
		out = append(out, files...)
	}
	return out, nil
}

// digestOf returns a digest of the configuration file's data and the rule files.
func (r *reloader) digestOf(data []byte, ruleFiles []string) [sha256.Size]byte {
	h := sha256.New()
	h.Write(data)
	for _, name := range ruleFiles {
		content, err := program.ReadFile(r.server.sys.Files, name)
		fmt.Fprintf(h, "\n%s %d %v\n", name, len(content), err)
		h.Write(content)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// knownRuleFiles are the rule files of the running configuration.
func (r *reloader) knownRuleFiles() []string {
	r.mu.Lock()
	c := r.written
	r.mu.Unlock()
	if c == nil {
		return nil
	}
	// A directory that cannot be listed shows when the configuration is applied.
	files, _ := r.ruleFiles(c)
	return files
}

// unchanged says whether the files are those that were last tried. A file that cannot be read for a moment, while the
// kubelet swaps a volume, is no change.
func (r *reloader) unchanged() bool {
	data, err := program.ReadFile(r.server.sys.Files, r.server.opts.ConfigFile)
	if err != nil {
		return true
	}
	digest := r.digestOf(data, r.knownRuleFiles())
	r.mu.Lock()
	defer r.mu.Unlock()
	return digest == r.digest
}

// Config returns the running configuration as it was written.
func (r *reloader) Config() config.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.written == nil {
		return config.DefaultConfig
	}
	return *r.written
}

// Status says whether the last reload succeeded and when one last did.
func (r *reloader) Status() (ok bool, when time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ok, r.when
}

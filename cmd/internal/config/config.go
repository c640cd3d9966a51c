// Package config resolves settings once: flag, then environment, then file, then default. Only settings that a user keeps
// from run to run are here; what a run consists of is in its scenario.
package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/yamlx"
)

// File is a configuration file. Fields are pointers: what is not in the file is not set.
type File struct {
	Out               *string   `yaml:"out"`
	Catalog           *[]string `yaml:"catalog"`
	Cluster           *string   `yaml:"cluster"`
	Concurrency       *int      `yaml:"concurrency" check:"min=1"`
	Attempts          *int      `yaml:"attempts" check:"min=1"`
	Agent             *[]string `yaml:"agent"`
	InfraRetries      *int      `yaml:"infra-retries" check:"min=0"`
	MaxInfraErrors    *string   `yaml:"max-infra-errors"`
	TimeoutMultiplier *float64  `yaml:"timeout-multiplier" check:"min=0.1"`
	Progress          *string   `yaml:"progress"`
	Output            *string   `yaml:"output"`
}

// values returns what is set, by key.
func (f File) values() map[string]any {
	out := map[string]any{}
	put(out, "out", f.Out)
	put(out, "catalog", f.Catalog)
	put(out, "cluster", f.Cluster)
	put(out, "concurrency", f.Concurrency)
	put(out, "attempts", f.Attempts)
	put(out, "agent", f.Agent)
	put(out, "infra-retries", f.InfraRetries)
	put(out, "max-infra-errors", f.MaxInfraErrors)
	put(out, "timeout-multiplier", f.TimeoutMultiplier)
	put(out, "progress", f.Progress)
	put(out, "output", f.Output)
	return out
}

func put[T any](out map[string]any, key string, value *T) {
	if value != nil {
		out[key] = *value
	}
}

// Key is one setting.
type Key struct {
	// Name is the flag's name and the key in a file; Env is the variable.
	Name, Env   string
	Description string
}

// Keys returns every setting, sorted by name.
func Keys() []Key {
	keys := []Key{
		{"agent", "", "agents that a run uses, separated by commas in the variable"},
		{"attempts", "", "how often each agent tries each problem"},
		{"catalog", "", "directories of private packs, separated by commas in the variable"},
		{"cluster", "", "kind of cluster that trials get: embedded, existing or kind"},
		{"concurrency", "", "trials at a time"},
		{"infra-retries", "", "how often a trial is tried again that failed for the harness's own reasons"},
		{"max-infra-errors", "", "trials without a grade that are tolerated: a number or a percentage"},
		{"out", "", "directory of run directories"},
		{"output", "", "format of what is printed"},
		{"progress", "", "how progress is shown"},
		{"timeout-multiplier", "", "factor on the deadlines of all phases but the agent's"},
	}
	for i := range keys {
		keys[i].Env = "GAMEDAY_" + strings.ToUpper(strings.ReplaceAll(keys[i].Name, "-", "_"))
	}
	return keys
}

// Sources are where settings come from. All of it is handed in, so that a test can.
type Sources struct {
	// LookupEnv is os.LookupEnv or the like.
	LookupEnv func(string) (string, bool)
	// Cwd is the working directory: .gameday.yaml is looked for there, and relative paths start there.
	Cwd string
	// ConfigFlag is --config: then no other file of the project is read, and it must exist.
	ConfigFlag string
}

// Setting is one resolved setting.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Origin says where the value is from: "flag", "env GAMEDAY_X", a file, or "default".
	Origin string `json:"origin"`
}

// Resolve applies environment and files to the flags of a command that are settings and were not given. It returns the
// settings that the command has, sorted by name. Errors are of party usage.
func Resolve(flags *pflag.FlagSet, from Sources) ([]Setting, error) {
	user, project, err := from.files()
	if err != nil {
		return nil, err
	}
	v := viper.New()
	var all []error
	fileOf := map[string]string{}
	for _, path := range []string{user, project} { // The later one wins.
		values, err := read(path)
		if err != nil {
			all = append(all, err)
			continue
		}
		for key := range values {
			fileOf[key] = path
		}
		if err := v.MergeConfigMap(values); err != nil {
			all = append(all, errs.With(errs.Usage, fmt.Errorf("read configuration %s: %w", path, err)))
		}
	}
	if err := errors.Join(all...); err != nil {
		return nil, err
	}
	var out []Setting
	for _, key := range Keys() {
		flag := flags.Lookup(key.Name)
		if flag == nil {
			continue
		}
		setting := Setting{key.Name, "", "default"}
		switch value, ok := from.LookupEnv(key.Env); {
		case flag.Changed:
			setting.Origin = "flag"
		case ok && value != "":
			setting.Origin = "env " + key.Env
			v.Set(key.Name, value)
		case v.IsSet(key.Name):
			setting.Origin = fileOf[key.Name]
		}
		if setting.Origin != "default" && setting.Origin != "flag" {
			if err := set(flag, v.Get(key.Name)); err != nil {
				all = append(all, errs.With(errs.Usage, fmt.Errorf("read setting %s from %s: %w", key.Name, setting.Origin, err)))
			}
		}
		setting.Value = strings.Trim(flag.Value.String(), "[]")
		out = append(out, setting)
	}
	return out, errors.Join(all...)
}

// set gives a flag a value without marking it as given on the command line.
func set(flag *pflag.Flag, value any) error {
	if slice, ok := flag.Value.(pflag.SliceValue); ok {
		if text, ok := value.(string); ok {
			return slice.Replace(strings.Split(text, ","))
		}
		var texts []string
		switch list := value.(type) {
		case []string:
			texts = slices.Clone(list)
		case []any:
			for _, v := range list {
				texts = append(texts, fmt.Sprint(v))
			}
		}
		return slice.Replace(texts)
	}
	text := fmt.Sprint(value)
	if f, ok := value.(float64); ok {
		text = strconv.FormatFloat(f, 'g', -1, 64)
	}
	return flag.Value.Set(text)
}

// files returns the user's and the project's configuration file, each "" where there is none.
func (s Sources) files() (user, project string, err error) {
	base, ok := s.LookupEnv("XDG_CONFIG_HOME")
	if !ok || base == "" {
		if home, ok := s.LookupEnv("HOME"); ok && home != "" {
			base = filepath.Join(home, ".config")
		}
	}
	if base != "" {
		user = existing(filepath.Join(base, "gameday", "config.yaml"))
	}
	if s.ConfigFlag == "" {
		return user, existing(filepath.Join(s.Cwd, ".gameday.yaml")), nil
	}
	project = s.ConfigFlag
	if !filepath.IsAbs(project) {
		project = filepath.Join(s.Cwd, project)
	}
	if _, err := os.Stat(project); err != nil {
		return "", "", errs.With(errs.Usage, fmt.Errorf("read configuration: %w", err))
	}
	return user, project, nil
}

func existing(path string) string {
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return ""
	}
	return path
}

// read decodes one file strictly. The error is a yamlx.ErrorList of party usage.
func read(path string) (map[string]any, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, errs.With(errs.Usage, fmt.Errorf("read configuration: %w", err))
	}
	var file File
	if err := yamlx.Decode(path, data, &file); err != nil {
		return nil, errs.With(errs.Usage, err)
	}
	return file.values(), nil
}

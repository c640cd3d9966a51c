package service

import (
	"fmt"
	"strconv"
	"time"
)

// Setting returns the environment variable name, or fallback when it is not set.
func (s *Service) Setting(name, fallback string) string {
	if v := s.Sys.Getenv(name); v != "" {
		return v
	}
	return fallback
}

// Duration reads a duration such as "300ms" from the environment.
func (s *Service) Duration(name string, fallback time.Duration) (time.Duration, error) {
	v := s.Sys.Getenv(name)
	if v == "" {
		return fallback, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("read %s: %q is not a positive duration", name, v)
	}
	return d, nil
}

// Int reads a positive integer from the environment.
func (s *Service) Int(name string, fallback int) (int, error) {
	v := s.Sys.Getenv(name)
	if v == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("read %s: %q is not a positive integer", name, v)
	}
	return n, nil
}

package controller

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
)

// annotationPrefix is where ingress-nginx's annotations live.
const annotationPrefix = "nginx.ingress.kubernetes.io/"

// settings are what an Ingress's annotations say about its routes.
type settings struct {
	// redirect sends HTTP to HTTPS where the host has TLS, and force everywhere.
	redirect, force bool
	// rewrite replaces the path; regex makes paths regular expressions.
	rewrite string
	regex   bool
	// connect, read and bodyLimit bound a request; tries is how many endpoints it is offered to.
	connect, read time.Duration
	bodyLimit     int64
	tries         int
	// secure speaks HTTPS to the endpoints.
	secure bool
}

// defaults are nginx's, as ingress-nginx sets them.
func defaults() settings {
	return settings{redirect: true, connect: 5 * time.Second, read: time.Minute, bodyLimit: 1 << 20, tries: 3}
}

// readSettings reads the annotations of an Ingress. Annotations that are not known here have no effect.
func readSettings(ing *networkingv1.Ingress) (settings, error) {
	s := defaults()
	for name, set := range map[string]func(string) error{
		"ssl-redirect":              boolean(&s.redirect),
		"force-ssl-redirect":        boolean(&s.force),
		"use-regex":                 boolean(&s.regex),
		"rewrite-target":            func(v string) error { s.rewrite = v; return nil },
		"proxy-connect-timeout":     seconds(&s.connect),
		"proxy-read-timeout":        seconds(&s.read),
		"proxy-body-size":           bodySize(&s.bodyLimit),
		"proxy-next-upstream-tries": number(&s.tries),
		"backend-protocol":          protocol(&s.secure),
	} {
		value, found := ing.Annotations[annotationPrefix+name]
		if !found {
			continue
		}
		if err := set(strings.TrimSpace(value)); err != nil {
			return s, fmt.Errorf("annotation %s%s: %w", annotationPrefix, name, err)
		}
	}
	if s.rewrite != "" {
		s.regex = true
	}
	return s, nil
}

func boolean(to *bool) func(string) error {
	return func(v string) (err error) {
		if *to, err = strconv.ParseBool(v); err != nil {
			return fmt.Errorf("invalid value %q: want true or false", v)
		}
		return nil
	}
}

func number(to *int) func(string) error {
	return func(v string) (err error) {
		if *to, err = strconv.Atoi(v); err != nil || *to < 0 {
			return fmt.Errorf("invalid value %q: want a number", v)
		}
		return nil
	}
}

func seconds(to *time.Duration) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(strings.TrimSuffix(v, "s"))
		if err != nil || n <= 0 {
			return fmt.Errorf("invalid value %q: want seconds", v)
		}
		*to = time.Duration(n) * time.Second
		return nil
	}
}

// bodySize reads nginx's sizes: bytes, or a number with k, m or g. 0 means no limit.
func bodySize(to *int64) func(string) error {
	return func(v string) error {
		digits, shift := v, 0
		if i := len(v) - 1; i > 0 {
			if unit := strings.IndexByte("kmg", v[i]|0x20); unit >= 0 {
				digits, shift = v[:i], 10*(unit+1)
			}
		}
		n, err := strconv.ParseInt(digits, 10, 32)
		if err != nil || n < 0 {
			return fmt.Errorf("invalid value %q: want a size", v)
		}
		*to = n << shift
		return nil
	}
}

func protocol(secure *bool) func(string) error {
	return func(v string) error {
		switch strings.ToUpper(v) {
		case "HTTP", "AUTO_HTTP":
		case "HTTPS":
			*secure = true
		default:
			return fmt.Errorf("protocol %q is not supported: want HTTP or HTTPS", v)
		}
		return nil
	}
}

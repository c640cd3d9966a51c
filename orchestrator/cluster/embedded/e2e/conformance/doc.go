// Package conformance holds the embedded provider against the suite that every provider has to pass.
package conformance

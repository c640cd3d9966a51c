// Package nodes tests that what befalls a node shows to the users of an application of which a service is there.
package nodes

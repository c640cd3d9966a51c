// Package dns tests that faults of the cluster's names show to the users of an application: in its servers, in their configuration, and in how pods ask.
package dns

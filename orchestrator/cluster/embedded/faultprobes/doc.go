// Package faultprobes tests that what breaks in a cluster shows to the users of an application: each test breaks one
// thing, sees the symptom in the application's telemetry, repairs it, and sees the application healed. Network policies,
// which cut off more than an application shows, have a matrix of pods of their own, as in Kubernetes' end-to-end tests.
package faultprobes

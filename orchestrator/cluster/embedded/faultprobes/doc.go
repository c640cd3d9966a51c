// Package faultprobes tests that what breaks in a cluster shows to the users of an application: each test breaks one thing, sees the symptom in the
// application's telemetry, repairs it, and sees the application healed. What breaks here is storage, clocks, admission and autoscaling; each folder
// has a subject, and a cluster of its own.
package faultprobes

//go:build requires

// Package requires keeps programs in go.mod that are built on their own: this one imports logrus under a name that differs
// from everybody else's in case, which go refuses within one build.
package requires

import _ "github.com/rancher/local-path-provisioner"

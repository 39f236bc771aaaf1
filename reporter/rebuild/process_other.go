//go:build !linux

package rebuild

import "syscall"

// withoutNetwork changes nothing: other systems have no network namespaces.
func withoutNetwork() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

// endWithParent does nothing: other systems tell no process that its parent is gone.
func endWithParent(*syscall.SysProcAttr) {}

//go:build !long

package e2e

// faultsAreLong says that everything is looked for after each fault.
const faultsAreLong = false

//go:build generated

// Package tools has no code. It names what go mod tidy cannot see that these modules are
// needed for: the client that is generated from the OpenAPI document, which a test of the
// aggregator compiles with them.
package tools

import _ "github.com/oapi-codegen/runtime"

// Package check says whether the manifests of this folder would be accepted and would work, without
// a cluster.
//
// [Render] builds a kustomization as "kubectl kustomize" does. [Decode] reads every object into the
// Kubernetes API's own Go types and refuses unknown and repeated fields. [Schemas] compares the
// objects with the API's OpenAPI document, whose limits on values the Go types cannot express.
// [Policy] then asks what neither can know: whether the objects fit each other (a Service and its
// pod, a NetworkPolicy and its ports, the configuration file and the container) and keep the rules
// that README.md promises (restricted pod security, one writer, no token, and so on).
//
// The OpenAPI document and the ServiceMonitor's definition are read from the Go module cache; the
// first run downloads them. They are held to the checksums in this package.
//
// It is a module of its own so that its dependencies stay out of the program's.
package check

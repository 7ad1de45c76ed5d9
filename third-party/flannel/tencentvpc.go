// Package tencentvpc stands in for the one of flannel that makes routes in Tencent's cloud: the client library that it
// imports is not to be had as a module everywhere, and nobody here asks for those routes.
package tencentvpc

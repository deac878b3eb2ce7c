module opencloud

go 1.26

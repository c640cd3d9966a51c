// This file lets the package declare functions of other packages.

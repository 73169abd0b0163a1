"""What CuPy has of NumPy and SciPy, by name (CuPy 14.2 against NumPy 2.4 and SciPy 1.17).

Of NumPy what CuPy lacks is listed, of SciPy what ``cupyx.scipy`` has: the shorter side. A method
of a random generator counts as had where either CuPy's generator or ``cupy.random`` has it.
"""

from __future__ import annotations

from collections.abc import Mapping

from estimator.record.words import words

#: functions of arrays, and methods of generators
_LACKING = words(
    "block busday_count busday_offset char datetime_as_string einsum_path frompyfunc fromregex",
    "geomspace histogram_bin_edges insert is_busday isnat matvec nanpercentile nanquantile",
    "polyder polydiv polyint spacing unstack vecdot vecmat linalg.matrix_norm linalg.multi_dot",
    "linalg.svdvals linalg.vecdot linalg.vector_norm random.multivariate_hypergeometric",
    "random.permuted random.tomaxint",
)

#: ``ufunc.at``; of ``reduce`` and ``accumulate`` those that have a name of their own are had
_SCATTERED = frozenset(
    ["add", "bitwise_and", "bitwise_or", "bitwise_xor", "maximum", "minimum", "subtract"]
)
_METHODS = frozenset({"at", "reduce", "accumulate", "reduceat"})

_SCIPY: Mapping[str, frozenset[str]] = {
    "fft": words(
        "dct dctn dst dstn fft fft2 fftfreq fftn fftshift fht hfft hfft2 hfftn idct idctn idst",
        "idstn ifft ifft2 ifftn ifftshift ifht ihfft ihfft2 ihfftn irfft irfft2 irfftn",
        "next_fast_len rfft rfft2 rfftfreq rfftn",
    ),
    "interpolate": words(
        "Akima1DInterpolator BPoly BSpline BarycentricInterpolator CloughTocher2DInterpolator",
        "CubicHermiteSpline CubicSpline InterpolatedUnivariateSpline KroghInterpolator",
        "LSQUnivariateSpline LinearNDInterpolator NdBSpline NdPPoly NearestNDInterpolator PPoly",
        "PchipInterpolator RBFInterpolator RegularGridInterpolator UnivariateSpline",
        "barycentric_interpolate interp1d interpn krogh_interpolate make_interp_spline",
        "make_lsq_spline pchip_interpolate splantider splder",
    ),
    "linalg": words(
        "bandwidth block_diag circulant companion convolution_matrix dft expm fiedler",
        "fiedler_companion hadamard hankel helmert hilbert khatri_rao leslie lu lu_factor",
        "lu_solve solve_triangular toeplitz",
    ),
    "ndimage": words(
        "affine_transform binary_closing binary_dilation binary_erosion binary_fill_holes",
        "binary_hit_or_miss binary_opening binary_propagation black_tophat center_of_mass",
        "convolve convolve1d correlate correlate1d distance_transform_edt extrema find_objects",
        "fourier_ellipsoid fourier_gaussian fourier_shift fourier_uniform gaussian_filter",
        "gaussian_filter1d gaussian_gradient_magnitude gaussian_laplace generate_binary_structure",
        "generic_filter generic_filter1d generic_gradient_magnitude generic_laplace grey_closing",
        "grey_dilation grey_erosion grey_opening histogram iterate_structure label",
        "labeled_comprehension laplace map_coordinates maximum maximum_filter maximum_filter1d",
        "maximum_position mean median median_filter minimum minimum_filter minimum_filter1d",
        "minimum_position morphological_gradient morphological_laplace percentile_filter prewitt",
        "rank_filter rotate shift sobel spline_filter spline_filter1d standard_deviation sum",
        "sum_labels uniform_filter uniform_filter1d value_indices variance white_tophat zoom",
    ),
    "signal": words(
        "BadCoefficients StateSpace TransferFunction ZerosPolesGain abcd_normalize argrelextrema",
        "argrelmax argrelmin band_stop_obj bilinear bilinear_zpk bode buttap butter buttord",
        "cheb1ap cheb1ord cheb2ap cheb2ord cheby1 cheby2 check_COLA check_NOLA chirp",
        "choose_conv_method coherence cont2discrete convolve convolve2d correlate correlate2d",
        "correlation_lags csd cspline1d cspline1d_eval cspline2d dbode decimate deconvolve",
        "detrend dfreqresp dimpulse dlsim dlti dstep ellip ellipap ellipord fftconvolve filtfilt",
        "find_peaks findfreqs firls firwin firwin2 freqresp freqs freqs_zpk freqz freqz_sos",
        "freqz_zpk gammatone gauss_spline gausspulse get_window group_delay hilbert hilbert2",
        "iircomb iirdesign iirfilter iirnotch iirpeak impulse invres invresz istft kaiser_atten",
        "kaiser_beta kaiserord lfilter lfilter_zi lfiltic lombscargle lp2bp lp2bp_zpk lp2bs",
        "lp2bs_zpk lp2hp lp2hp_zpk lp2lp lp2lp_zpk lsim lti max_len_seq medfilt medfilt2d",
        "minimum_phase normalize oaconvolve order_filter peak_prominences peak_widths periodogram",
        "place_poles qspline1d qspline1d_eval qspline2d resample resample_poly residue residuez",
        "savgol_coeffs savgol_filter sawtooth sepfir2d sos2tf sos2zpk sosfilt sosfilt_zi",
        "sosfiltfilt sosfreqz spectrogram spline_filter square ss2tf ss2zpk step stft sweep_poly",
        "symiirorder1 symiirorder2 tf2sos tf2ss tf2zpk unique_roots unit_impulse upfirdn",
        "vectorstrength welch wiener zpk2sos zpk2ss zpk2tf",
    ),
    "signal.windows": words(
        "barthann bartlett blackman blackmanharris bohman boxcar chebwin cosine exponential",
        "flattop gaussian general_cosine general_gaussian general_hamming get_window hamming hann",
        "kaiser kaiser_bessel_derived lanczos nuttall parzen taylor triang tukey",
    ),
    "sparse": words(
        "block_array block_diag bmat coo_array coo_matrix csc_array csc_matrix csr_array",
        "csr_matrix dia_array dia_matrix diags diags_array eye eye_array find get_index_dtype",
        "hstack identity issparse isspmatrix isspmatrix_coo isspmatrix_csc isspmatrix_csr",
        "isspmatrix_dia kron kronsum permute_dims rand random random_array",
        "safely_cast_index_arrays sparray spdiags spmatrix swapaxes tril triu vstack",
    ),
    "sparse.csgraph": frozenset(["connected_components"]),
    "sparse.linalg": words(
        "LinearOperator SuperLU aslinearoperator bicgstab cg cgs eigsh factorized gmres lobpcg",
        "lsmr lsqr matrix_power minres norm spilu splu spsolve spsolve_triangular svds",
    ),
    "spatial": frozenset(["Delaunay", "KDTree", "distance_matrix"]),
    "spatial.distance": words(
        "MetricInfo canberra cdist chebyshev cityblock correlation cosine euclidean hamming",
        "jensenshannon minkowski pdist russellrao sqeuclidean",
    ),
    "special": words(
        "bdtr bdtrc bdtri beta betainc betaincinv betaln binom boxcox boxcox1p cbrt chdtr chdtrc",
        "chdtri cosdg cosm1 cotdg digamma ellipeinc ellipj ellipk ellipkinc ellipkm1 entr erf",
        "erfc erfcinv erfcx erfinv exp1 exp10 exp2 expi expit expm1 expn exprel fdtr fdtrc fdtri",
        "gamma gammainc gammaincc gammainccinv gammaincinv gammaln gammasgn gdtr gdtrc huber i0",
        "i0e i1 i1e inv_boxcox inv_boxcox1p j0 j1 k0 k0e k1 k1e kl_div lambertw log1p log_expit",
        "log_ndtr log_softmax loggamma logit logsumexp lpmv multigammaln nbdtr nbdtrc nbdtri ndtr",
        "ndtri pdtr pdtrc pdtri poch polygamma pseudo_huber psi radian rel_entr rgamma round",
        "shichi sici sinc sindg softmax sph_harm_y spherical_yn tandg wright_bessel xlog1py xlogy",
        "y0 y1 yn zeta zetac",
    ),
    "stats": frozenset(["boxcox_llf", "entropy", "trim_mean", "zmap", "zscore"]),
}

#: scipy.linalg's that CuPy has as cupy.linalg's
_AS_NUMPY = words(
    "cholesky det eig eigh eigvals eigvalsh inv lstsq norm pinv qr solve svd",
)

#: what CuPy has under another name or in two calls, as a port would use them
_BY_OTHERS = words("scipy.linalg.cho_factor scipy.linalg.cho_solve linalg.multi_dot")

#: types of elements that CuPy has
TYPES = words(
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64",
    "complex128",
)


def lacking(kind: str) -> str:
    """Why CuPy cannot do an operation, by its name; empty where it can."""
    if kind in _BY_OTHERS:
        return ""
    module, _, name = kind.rpartition(".")
    if name in _METHODS and module and not module.startswith(("scipy", "random")):
        had = module in _SCATTERED if name == "at" else module == "add" and name == "reduceat"
    elif kind.startswith("scipy."):
        part = module.removeprefix("scipy.")
        had = name in _SCIPY.get(part, ()) or (part == "linalg" and name in _AS_NUMPY)
    else:
        had = kind not in _LACKING
    return "" if had else f"CuPy has no {kind}"
